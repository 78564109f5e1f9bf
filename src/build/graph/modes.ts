// --chmod: octal numbers and chmod's symbolic words ("u+x,go-w").
import { BuildFailure } from "../failure.ts"

const clause = /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+$/

/** The number for an octal mode; symbolic text as it is. Throws BuildFailure with BuildKit's words. */
export const checkMode = (text: string): number | string => {
  const notOctal = () =>
    new BuildFailure(
      "invalid",
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
      {},
    )
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8)
    if (mode > 0o7777) throw notOctal()
    return mode
  }
  if (/^[0-9]/.test(text)) throw notOctal()
  if (!text.split(",").every((part) => clause.test(part)))
    throw new BuildFailure("invalid", "invalid syntax", {})
  return text
}
