// Drops keys whose value is undefined, so that a spread over defaults does not erase them.
export function present<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined)
  return Object.fromEntries(entries) as T
}
