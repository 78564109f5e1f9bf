// Gives memory back when the daemon has had nothing to do for a while; the runtime alone keeps it after a burst.

/** Milliseconds without a request before garbage is collected. */
const QUIET = 3000

/** Milliseconds without a request before compiled code goes too. */
const IDLE = 30_000

/** Bytes resident above which it goes: the next container starts 40 ms later, as the first one of a fresh daemon. */
const LARGE = 68e6

/** Call `touch` on every request. The timer never keeps the process alive. */
export function createTrim(): { touch(): void } {
  let lastTouch = 0
  let timer: NodeJS.Timeout | undefined
  let collected = false
  const look = () => {
    timer = undefined
    const quiet = Date.now() - lastTouch
    if (quiet < QUIET) wait(QUIET - quiet)
    else if (quiet < IDLE) {
      if (!collected) Bun.gc(true)
      collected = true
      wait(IDLE - quiet)
    } else if (process.memoryUsage.rss() > LARGE) {
      Bun.shrink()
      Bun.gc(true)
    }
  }
  const wait = (milliseconds: number) => {
    timer = setTimeout(look, milliseconds)
    timer.unref()
  }
  return {
    touch() {
      lastTouch = Date.now()
      if (collected && timer !== undefined) {
        clearTimeout(timer)
        timer = undefined
      }
      collected = false
      if (timer === undefined) wait(QUIET)
    },
  }
}
