// Lets a test kill this process at a named step: SLOOP_CRASH_AT=start:launched.

const target = process.env.SLOOP_CRASH_AT

/** Names a step. When SLOOP_CRASH_AT names the same, this process ends by SIGKILL here. */
export const crashPoint: (step: string) => void =
  target === undefined || target === ""
    ? () => {}
    : (step) => {
        if (step !== target) return
        process.kill(process.pid, "SIGKILL")
        // The signal is pending until the kernel next returns to this thread; nothing may run before that.
        for (;;);
      }
