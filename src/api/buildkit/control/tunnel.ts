// A session's connection inside a call: bytes in messages both ways, for clients whose way here cannot be upgraded.
import type { Duplex } from "node:stream"
import type { BytesMessage } from "../../../wire/buildkit/control.ts"
import type { Decoded } from "../../../wire/buildkit/protobuf.ts"
import { byteStream } from "../grpc/byte-stream.ts"
import type { ServerCall } from "../grpc/server.ts"

type Bytes = Decoded<typeof BytesMessage>

/** Serves until either side ends; `open` takes the connection and gives what tells of its end. */
export async function tunnel(
  call: ServerCall<Bytes, Bytes>,
  open: (connection: Duplex) => AbortSignal,
): Promise<void> {
  const over = Promise.withResolvers<void>()
  const finish = () => over.resolve()
  // Whoever sends no more has closed the session, and waits for the call's end.
  const connection = byteStream(call, finish, finish)
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
