// The order in which trees are walked.

/** Order of a walk: parents before what is in them, siblings by bytes. */
export const walkOrder = (a: string, b: string): number => {
  const common = Math.min(a.length, b.length)
  for (let at = 0; at < common; at++) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (left === right) continue
    if (left === 47) return -1
    return right === 47 ? 1 : left - right
  }
  return a.length - b.length
}
