// Who may use the registry: an Apache password file with bcrypt hashes, read anew when it changes.
import { createHash, timingSafeEqual } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { compare } from "bcryptjs"
import { errorMessage, failure } from "../base/errors.ts"

export interface Passwords {
  /** Whether name and password are right. Takes as long for a name that is not there. */
  admit(name: string, password: string): Promise<boolean>
}

/** A hash of no password at cost 5, so that an unknown name is told by no clock. */
const nobody = "$2b$05$abcdefghijklmnopqrstuuHbIWmYVGCuHrXW4cyG2mxG5a8fpXQAe"
/** Right passwords are remembered, because bcrypt is slow on purpose and every request carries one. */
const mostRemembered = 256

const readEntries = (path: string): Map<string, string> => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    throw failure("unavailable", `the registry's password file cannot be read: ${errorMessage(cause)}`, {
      cause,
    })
  }
  const entries = new Map<string, string>()
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue
    const [, name, hash] = /^([^:]+):(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})\s*$/.exec(line) ?? []
    if (name === undefined || hash === undefined)
      throw failure(
        "invalid",
        `line ${index + 1} of the password file ${path} is not "name:bcrypt-hash": make it with htpasswd -B`,
      )
    entries.set(name, hash)
  }
  return entries
}

/** Opens a password file. Throws unavailable or invalid when it cannot be used; later a broken one keeps the last good entries. */
export const openPasswords = (path: string): Passwords => {
  let entries = readEntries(path)
  let stamp = statSync(path).mtimeMs
  const remembered = new Map<string, Buffer>()
  const refresh = (): void => {
    const now = statSync(path, { throwIfNoEntry: false })?.mtimeMs
    if (now === undefined || now === stamp) return
    try {
      entries = readEntries(path)
    } catch {
      // Half-written: the next request looks again.
      return
    }
    stamp = now
    remembered.clear()
  }
  return {
    async admit(name, password) {
      refresh()
      const hash = entries.get(name)
      // Bound to the hash, so that a changed password ends what was remembered.
      const seen = createHash("sha256")
        .update(`${hash ?? ""}\0${name}\0${password}`)
        .digest()
      const known = remembered.get(name)
      if (hash !== undefined && known !== undefined && timingSafeEqual(known, seen)) return true
      const right = (await compare(password, hash ?? nobody)) && hash !== undefined
      if (!right) return false
      if (remembered.size >= mostRemembered) remembered.clear()
      remembered.set(name, seen)
      return true
    },
  }
}

/** Name and password of an Authorization header; undefined when it is no basic one. */
export const readBasic = (header: string | undefined): { name: string; password: string } | undefined => {
  const encoded = /^basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "")?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, "base64").toString("utf8")
  const colon = text.indexOf(":")
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
