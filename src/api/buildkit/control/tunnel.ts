// A session's connection inside a call: bytes in messages both ways, for clients whose way here cannot be upgraded.
import { Duplex } from "node:stream"
import type { BytesMessage } from "../../../wire/buildkit/control.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import type { ServerCall } from "../grpc/server.ts"

type Bytes = Decoded<typeof BytesMessage>

/** Serves until either side ends; `open` takes the connection and gives what tells of its end. */
export async function tunnel(
  call: ServerCall<Bytes, Bytes>,
  open: (connection: Duplex) => AbortSignal,
): Promise<void> {
  let reading = false
  const over = Promise.withResolvers<void>()
  const connection: Duplex = new Duplex({
    read() {
      if (reading) return
      reading = true
      call
        .receive()
        .then((message) => {
          reading = false
          if (message !== undefined) connection.push(Buffer.from(message.data))
          // Whoever sends no more has closed the session, and waits for the call's end.
          else over.resolve()
        })
        .catch(() => over.resolve())
    },
    write(bytes: Buffer, _encoding, done) {
      call.send({ data: bytes }).then(() => done(), done)
    },
  })
  connection.on("error", () => {})
  // The client waits for the headers before it speaks; an empty message would be read as bytes by Go's side.
  call.begin({})
  const gone = open(connection)
  for (const signal of [gone, call.signal]) {
    if (signal.aborted) over.resolve()
    signal.addEventListener("abort", () => over.resolve(), { once: true })
  }
  await over.promise
  connection.destroy()
}
