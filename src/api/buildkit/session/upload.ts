// What a client holds ready for one download: a context that came to it as an archive on its standard input.
import { BytesMessage } from "../../../wire/buildkit/control.ts"
import { headerValues } from "./header-values.ts"
import type { Session } from "./sessions.ts"

const METHOD = "/moby.upload.v1.Upload/Pull"
const ADDRESS = /^https?:\/\/buildkit-session(\/[^?#]*)/

/** The path of an address that only a session can serve; undefined for any other address. */
export const uploadPath = (address: string): string | undefined => ADDRESS.exec(address)?.[1]

/** The bytes behind such a path; they come once. */
export async function* sessionUpload(
  session: Session,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const call = session.connection.call(METHOD, BytesMessage, BytesMessage, {
    metadata: { ...headerValues("urlpath", [path]), ...headerValues("urlhost", ["buildkit-session"]) },
    signal: AbortSignal.any([signal, session.connection.gone]),
  })
  call.end()
  try {
    for (;;) {
      const message = await call.receive()
      if (message === undefined) return
      yield message.data
    }
  } finally {
    call.cancel()
  }
}
