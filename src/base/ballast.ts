// Keeps the collector from running at every few megabytes while bytes stream through the daemon's small heap.

/** Never touched, so it takes no memory; but the collector lets garbage grow in proportion to what is alive. */
const bytes = 20 << 20

const held: ArrayBuffer[] = []
let users = 0

/** Runs `work`, whose buffers are garbage as soon as they are read. Costs up to `bytes` of memory while it runs. */
export const withBallast = async <T>(work: () => Promise<T>): Promise<T> => {
  if (users++ === 0) held.push(new ArrayBuffer(bytes))
  try {
    return await work()
  } finally {
    if (--users === 0) held.pop()
  }
}
