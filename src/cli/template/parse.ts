// Parses the part of Go's text/template language that people use in --format.
import { failure } from "../../base/errors.ts"

/** A value in a pipeline. */
export type Operand =
  | { readonly kind: "field"; readonly from: "dot" | "root" | string; readonly path: readonly string[] }
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "pipeline"; readonly pipeline: Pipeline; readonly path: readonly string[] }

/** Commands joined by `|`; each is a head and its arguments. */
export type Pipeline = readonly (readonly Operand[])[]

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly pipeline: Pipeline }
  | { readonly kind: "assign"; readonly name: string; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with"
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | {
      readonly kind: "range"
      readonly variables: readonly string[]
      readonly pipeline: Pipeline
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }

interface Action {
  readonly text: string | undefined
  readonly code: string | undefined
}

const bad = (message: string): never => {
  throw failure("invalid", `template: :1: ${message}`)
}

/** Cuts a template into text and `{{…}}` actions, honouring `{{-` and `-}}`. */
function cut(template: string): Action[] {
  const found: Action[] = []
  let rest = template
  let trimNext = false
  while (rest !== "") {
    const open = rest.indexOf("{{")
    let text = open < 0 ? rest : rest.slice(0, open)
    if (trimNext) text = text.trimStart()
    trimNext = false
    if (open < 0) {
      found.push({ text, code: undefined })
      break
    }
    let code = rest.slice(open + 2)
    if (/^-\s/.test(code)) {
      text = text.trimEnd()
      code = code.slice(1)
    }
    const close = endOfAction(code)
    rest = code.slice(close + 2)
    code = code.slice(0, close)
    if (/\s-$/.test(code)) {
      trimNext = true
      code = code.slice(0, -1)
    }
    found.push({ text, code: undefined }, { text: undefined, code: code.trim() })
  }
  return found
}

function endOfAction(code: string): number {
  let quote = ""
  for (let at = 0; at < code.length; at++) {
    const letter = code[at] ?? ""
    if (quote) {
      if (letter === "\\" && quote === '"') at++
      else if (letter === quote) quote = ""
    } else if (letter === '"' || letter === "`") quote = letter
    else if (code.startsWith("}}", at)) return at
  }
  return bad("unclosed action")
}

const tokenPattern =
  /\s*(?:("(?:\\.|[^"\\])*"|`[^`]*`)|(-?\d+(?:\.\d+)?)|([()|,])|(:=|=)|(\$?[A-Za-z_]\w*|\$)?((?:\.[A-Za-z_]\w*)*\.?)(?=[\s()|,:=]|$))/y

interface Token {
  readonly kind: "string" | "number" | "punctuation" | "assign" | "word"
  readonly text: string
  readonly path: readonly string[]
  /** No space before it: `(x).Field` selects from what the parentheses gave. */
  readonly glued?: boolean
}

function tokenize(code: string): Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  let at = 0
  while (code.slice(at).trim() !== "") {
    tokenPattern.lastIndex = at
    const match = tokenPattern.exec(code)
    if (!match || match[0].trim() === "")
      return bad(`unexpected ${JSON.stringify(code.slice(at).trim()[0])} in "{{${code}}}"`)
    at = tokenPattern.lastIndex
    const [, string, number, punctuation, assign, head, path] = match
    if (string !== undefined)
      tokens.push({
        kind: "string",
        text: string.startsWith("`") ? string.slice(1, -1) : unquote(string),
        path: [],
      })
    else if (number !== undefined) tokens.push({ kind: "number", text: number, path: [] })
    else if (punctuation !== undefined) tokens.push({ kind: "punctuation", text: punctuation, path: [] })
    else if (assign !== undefined) tokens.push({ kind: "assign", text: assign, path: [] })
    else {
      const glued = !/^\s/.test(match[0])
      tokens.push({ kind: "word", text: head ?? ".", path: (path ?? "").split(".").filter(Boolean), glued })
    }
  }
  return tokens
}

function unquote(text: string): string {
  try {
    return JSON.parse(text.replace(/\\'/g, "'").replace(/\\a/g, "\\u0007")) as string
  } catch {
    return bad(`malformed string ${text}`)
  }
}

function parsePipeline(tokens: Token[]): Pipeline {
  const commands: Operand[][] = [[]]
  while (tokens.length > 0 && tokens[0]?.text !== ")") {
    const token = tokens.shift()
    if (!token) break
    if (token.kind === "punctuation" && token.text === "|") commands.push([])
    else commands.at(-1)?.push(parseOperand(token, tokens))
  }
  if (commands.some((command) => command.length === 0)) bad("missing value for command")
  return commands
}

function parseOperand(token: Token, tokens: Token[]): Operand {
  if (token.kind === "string") return { kind: "literal", value: token.text }
  if (token.kind === "number") return { kind: "literal", value: Number(token.text) }
  if (token.text === "(") {
    const pipeline = parsePipeline(tokens)
    if (tokens.shift()?.text !== ")") bad("unclosed left paren")
    const selects = tokens[0]?.glued === true && tokens[0].text === "."
    return { kind: "pipeline", pipeline, path: selects ? (tokens.shift()?.path ?? []) : [] }
  }
  if (token.kind !== "word") return bad(`unexpected "${token.text}"`)
  if (token.text === ".") return { kind: "field", from: "dot", path: token.path }
  if (token.text === "$") return { kind: "field", from: "root", path: token.path }
  if (token.text.startsWith("$")) return { kind: "field", from: token.text, path: token.path }
  if (token.text === "true" || token.text === "false")
    return { kind: "literal", value: token.text === "true" }
  if (token.text === "nil") return { kind: "literal", value: null }
  return { kind: "function", name: token.text }
}

/** `$a, $b := pipeline` or just a pipeline. */
function parseDeclaration(code: string): { variables: string[]; pipeline: Pipeline } {
  const tokens = tokenize(code)
  const assign = tokens.findIndex(({ kind }) => kind === "assign")
  const variables = tokens
    .splice(0, assign + 1)
    .filter(({ kind }) => kind === "word")
    .map(({ text }) => text)
  const pipeline = parsePipeline(tokens)
  if (tokens.length > 0) bad("unexpected right paren")
  return { variables, pipeline }
}

/** Parses a template. Throws Failure "invalid" with `template: :1: …`. */
export function parseTemplate(template: string): readonly Node[] {
  const actions = cut(template)
  const block = (inside: boolean): { nodes: Node[]; end: string } => {
    const nodes: Node[] = []
    for (let action = actions.shift(); action; action = actions.shift()) {
      if (action.code === undefined) {
        if (action.text) nodes.push({ kind: "text", text: action.text })
        continue
      }
      const [, keyword = "", rest = ""] =
        /^(if|with|range|else|end|\/\*)?\b([\s\S]*)$/.exec(action.code) ?? []
      if (action.code.startsWith("/*")) continue
      if (keyword === "end" || keyword === "else") {
        if (!inside) bad(`unexpected {{${keyword}}}`)
        return { nodes, end: action.code }
      }
      nodes.push(keyword ? control(keyword as "if" | "with" | "range", rest) : statement(action.code))
    }
    if (inside) bad("unexpected EOF")
    return { nodes, end: "" }
  }
  const control = (kind: "if" | "with" | "range", code: string): Node => {
    const { variables, pipeline } = parseDeclaration(code)
    const { nodes: body, end } = block(true)
    let otherwise: Node[] = []
    if (end.startsWith("else")) {
      const chained = /^else\s+if\b([\s\S]*)$/.exec(end)
      otherwise = chained ? [control("if", chained[1] ?? "")] : block(true).nodes
    }
    return kind === "range"
      ? { kind, variables, pipeline, body, otherwise }
      : { kind, pipeline, body, otherwise }
  }
  return block(false).nodes
}

/** Names of the functions that the nodes call. */
export function calledFunctions(nodes: readonly Node[]): string[] {
  const inPipeline = (pipeline: Pipeline): string[] =>
    pipeline.flat().flatMap((item) => {
      if (item.kind === "function") return [item.name]
      return item.kind === "pipeline" ? inPipeline(item.pipeline) : []
    })
  return nodes.flatMap((node) => {
    if (node.kind === "text") return []
    const own = inPipeline(node.pipeline)
    return "body" in node ? [...own, ...calledFunctions(node.body), ...calledFunctions(node.otherwise)] : own
  })
}

function statement(code: string): Node {
  if (code === "") bad("missing value for command")
  const { variables, pipeline } = parseDeclaration(code)
  const name = variables[0]
  return name ? { kind: "assign", name, pipeline } : { kind: "output", pipeline }
}
