// Parser directives: `# name=value` lines at the very top, before anything else.

export type DirectiveName = "syntax" | "escape" | "check"

const isDirective = (name: string): name is DirectiveName =>
  name === "syntax" || name === "escape" || name === "check"

export interface Directive {
  readonly name: DirectiveName
  readonly value: string
}

/** What a comment line says as a directive; undefined = it is none. The first line that is none ends them all. */
export const readDirective = (line: string): Directive | undefined => {
  const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.*\S)\s*$/.exec(line)
  const name = match?.[1]?.toLowerCase() ?? ""
  const value = match?.[2]
  return value !== undefined && isDirective(name) ? { name, value } : undefined
}

/** A directive's value up to the first blank, "" when it is not there. A "#!" line above them is passed over. */
export const directiveOf = (lines: readonly string[], name: DirectiveName): string => {
  for (const line of lines[0]?.startsWith("#!") ? lines.slice(1) : lines) {
    const directive = readDirective(line)
    if (directive === undefined) return ""
    if (directive.name === name) return directive.value.split(" ", 1)[0] ?? ""
  }
  return ""
}

/** The syntax that a file asks for, in any form: "# syntax=", "// syntax=" or a JSON object's "syntax". */
export const syntaxOf = (lines: readonly string[]): string => {
  const inComment = directiveOf(lines, "syntax")
  if (inComment !== "") return inComment
  const slashed = lines.map((line) => (line.startsWith("//") ? `#${line.slice(2)}` : `-${line}`))
  const inSlashes = directiveOf(slashed, "syntax")
  if (inSlashes !== "") return inSlashes
  if (!lines[0]?.trimStart().startsWith("{")) return ""
  try {
    const value: unknown = JSON.parse(lines.join("\n"))
    const found = typeof value === "object" && value !== null && "syntax" in value ? value.syntax : undefined
    return typeof found === "string" ? found : ""
  } catch {
    return ""
  }
}
