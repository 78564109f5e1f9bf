// Names are bytes. Inside they are latin1 text, one character for a byte; outside they are UTF-8 text.

/** Text as its UTF-8 bytes, one character for each. */
export const bytesOf = (text: string): string =>
  /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1")

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text that the bytes are, or undefined when they are no UTF-8. */
export const exactTextOf = (bytes: string): string | undefined => {
  if (/^[\x00-\x7f]*$/.test(bytes)) return bytes
  try {
    return utf8.decode(Buffer.from(bytes, "latin1"))
  } catch {
    return undefined
  }
}

/** The text that the bytes are; as they stand when they are no UTF-8. */
export const textOf = (bytes: string): string => exactTextOf(bytes) ?? bytes

/** A name in a message: what a terminal would act on is shown as an escape. */
export const shown = (bytes: string): string =>
  textOf(bytes).replace(
    /[\x00-\x1f\x7f-\x9f]/g,
    (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`,
  )
