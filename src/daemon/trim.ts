// Gives memory back when the daemon has had nothing to do for a while; the runtime alone keeps it after a burst.

/** Milliseconds without a request before memory is given back. */
const QUIET = 3000

/** Call `touch` on every request. The timer never keeps the process alive. */
export function createTrim(): { touch(): void } {
  let lastTouch = 0
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    timer = undefined
    const left = lastTouch + QUIET - Date.now()
    if (left > 0) wait(left)
    else Bun.gc(true)
  }
  const wait = (milliseconds: number) => {
    timer = setTimeout(look, milliseconds)
    timer.unref()
  }
  return {
    touch() {
      lastTouch = Date.now()
      if (timer === undefined) wait(QUIET)
    },
  }
}
