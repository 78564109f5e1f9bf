// A connection inside a call: its bytes are the data of messages both ways.
import { Duplex } from "node:stream"

interface BytesCall {
  receive(): Promise<{ readonly data: Uint8Array } | undefined>
  send(message: { readonly data: Uint8Array }): Promise<void>
}

/** `ended` is told once the peer sends no more, `failed` when the call ends in any other way; `more`: what else a stream may do. */
export const byteStream = (
  call: BytesCall,
  ended: (connection: Duplex) => void,
  failed: (connection: Duplex, error: unknown) => void,
  more: Pick<ConstructorParameters<typeof Duplex>[0] & object, "final" | "destroy"> = {},
): Duplex => {
  let reading = false
  const connection: Duplex = new Duplex({
    ...more,
    read() {
      if (reading) return
      reading = true
      call
        .receive()
        .then((message) => {
          reading = false
          if (message === undefined) ended(connection)
          else connection.push(Buffer.from(message.data))
        })
        .catch((error: unknown) => failed(connection, error))
    },
    write(bytes: Buffer, _encoding, done) {
      call.send({ data: bytes }).then(() => done(), done)
    },
  })
  return connection
}
