// The key sequence that lets go of a tty without ending its process.
import { failure } from "../../base/errors.ts"

const controls: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 }

/** "ctrl-p,ctrl-q" → [16, 17]; undefined = that default; "" = none. Throws invalid. */
export const parseDetachKeys = (text: string | undefined): readonly number[] => {
  if (text === undefined) return [16, 17]
  if (text === "") return []
  return text.split(",").map((key) => {
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0)
    if (key === "DEL") return 127
    const control = /^ctrl-(.)$/i.exec(key)?.[1]
    if (control !== undefined) {
      if (/[a-z]/i.test(control)) return control.toLowerCase().charCodeAt(0) - 96
      const code = controls[control]
      if (code !== undefined) return code
    }
    throw failure("invalid", `Invalid escape keys (${text}) provided: write them as ctrl-p,ctrl-q`)
  })
}

/** Watches typed bytes for the sequence. Bytes of a sequence that breaks off are handed on late, none is lost. */
export class DetachScanner {
  readonly #keys: readonly number[]
  #matched = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  /** What to hand on, and whether the sequence is complete (what follows it is dropped). */
  feed(bytes: Uint8Array): { forward: Uint8Array; detached: boolean } {
    const keys = this.#keys
    if (keys.length === 0 || (this.#matched === 0 && !bytes.includes(keys[0] ?? -1))) {
      return { forward: bytes, detached: false }
    }
    const out: number[] = []
    for (const byte of bytes) {
      if (byte !== keys[this.#matched] && this.#matched > 0) {
        out.push(...keys.slice(0, this.#matched))
        this.#matched = 0
      }
      if (byte !== keys[this.#matched]) {
        out.push(byte)
        continue
      }
      this.#matched++
      if (this.#matched === keys.length) {
        this.#matched = 0
        return { forward: Uint8Array.from(out), detached: true }
      }
    }
    return { forward: Uint8Array.from(out), detached: false }
  }
}
