// Every creation carries its undo: a failure unwinds what was made, last first, and success discards the stack.
import { errorMessage } from "./errors.ts"
import { createLog } from "./log.ts"

const log = createLog("undo")

export class UndoStack {
  #steps: { name: string; undo: () => unknown }[] = []

  /** `name` says what is undone, for the log when that fails. */
  push(name: string, undo: () => unknown): void {
    this.#steps.push({ name, undo })
  }

  /** Undoes everything, last first. A step that fails is logged and does not stop the others. */
  async unwind(): Promise<void> {
    const steps = this.#steps
    this.#steps = []
    for (const { name, undo } of steps.reverse()) {
      try {
        await undo()
      } catch (error) {
        log.warn("an undo step failed", { step: name, error: errorMessage(error) })
      }
    }
  }

  /** All is well: what was made stays. */
  discard(): void {
    this.#steps = []
  }
}
