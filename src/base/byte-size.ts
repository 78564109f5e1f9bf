// Sizes as people write them: "20GB", "512m", "1.5 TiB".
import { failure } from "./errors.ts"

const powers = ["", "k", "m", "g", "t", "p"]

/** Bytes. k, KB and KiB are all 1024, as docker reads them. `what` names the setting. Throws Failure "invalid". */
export const parseByteSize = (text: string, what: string): number => {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim())
  const bytes =
    match === null ? Number.NaN : Number(match[1]) * 1024 ** powers.indexOf((match[2] ?? "").toLowerCase())
  if (!Number.isSafeInteger(Math.floor(bytes)))
    throw failure("invalid", `invalid size "${text}" for ${what}: write it as 512MB or 20GB`)
  return Math.floor(bytes)
}
