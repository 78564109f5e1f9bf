// Asks a person at the terminal for one line, shown or not.
import { failure } from "../base/errors.ts"
import type { Context } from "./verb.ts"

/** The line without its end. The terminal is given back as it was. */
export const askLine = async (
  context: Context,
  question: string,
  options: { hidden: boolean },
): Promise<string> => {
  const { stdin } = context
  await context.out.write(question)
  const raw = options.hidden && stdin.isTTY
  if (raw) stdin.setRawMode(true)
  try {
    return await new Promise<string>((resolve, reject) => {
      let line = ""
      const done = (act: () => void) => {
        stdin.off("data", take)
        stdin.off("end", ended)
        stdin.pause()
        act()
      }
      const ended = () => done(() => resolve(line))
      const take = (chunk: Buffer) => {
        for (const letter of chunk.toString("utf8")) {
          if (letter === "\n" || letter === "\r") return done(() => resolve(line.trim()))
          if (letter === "\u0003") return done(() => reject(failure("cancelled", "interrupted")))
          if (raw && (letter === "\u007f" || letter === "\b")) line = line.slice(0, -1)
          else if (raw && letter === "\u0004") return ended()
          else line += letter
        }
      }
      stdin.on("data", take)
      stdin.once("end", ended)
      stdin.resume()
    })
  } finally {
    if (raw) stdin.setRawMode(false)
    if (options.hidden) await context.out.write("\n")
  }
}
