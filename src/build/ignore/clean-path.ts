// A path in its shortest form by its text alone (Go's path cleaning): "a//b/../c/." is "a/c", "" is ".".

export const cleanPath = (path: string): string => {
  const rooted = path.startsWith("/")
  const parts: string[] = []
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue
    if (part !== "..") parts.push(part)
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop()
    else if (!rooted) parts.push(part)
  }
  const text = parts.join("/")
  if (rooted) return `/${text}`
  return text === "" ? "." : text
}
