// Evaluates --format templates over what the API answered, with Go's printing and docker's functions.
import { failure } from "../../base/errors.ts"
import { mayBeAbsent, printAbsent } from "./absent.ts"
import { compare, functions, goPrint, truthy } from "./functions.ts"
import { calledFunctions, type Node, type Operand, type Pipeline, parseTemplate } from "./parse.ts"

interface Scope {
  readonly root: unknown
  readonly dot: unknown
  readonly variables: Map<string, unknown>
  readonly functions: Functions
}

type Functions = Readonly<Record<string, (...values: unknown[]) => unknown>>

const bad = (message: string, at = ""): never => {
  throw failure("invalid", `template: :1: executing ""${at && ` at <${at}>`}: ${message}`)
}

/**
 * A field of a value: null where docker's types have a zero value, undefined ("<no value>") for missing keys of maps; other
 * missing fields are an error. `at` is the path to it.
 */
function field(value: unknown, name: string, at: string): unknown {
  if (value === null || value === undefined) return undefined
  if (value instanceof Map) return value.get(name)
  if (typeof value !== "object") return bad(`can't evaluate field ${name} in type ${typeof value}`, at)
  const found = (value as Record<string, unknown>)[name]
  if (found === undefined && !(name in value) && !isMap(value)) {
    if (mayBeAbsent(name)) return null
    return bad(`map has no entry for key "${name}"`, at)
  }
  return found
}

/** Objects whose keys are data (labels, ports) rather than fields: any key that is not an identifier in Go's exported form. */
const isMap = (value: object): boolean =>
  Object.keys(value).length === 0 || Object.keys(value).some((key) => !/^[A-Z]\w*$/.test(key))

const walk = (value: unknown, path: readonly string[]): unknown =>
  path.reduce(
    (inner: unknown, name, index) => field(inner, name, `.${path.slice(0, index + 1).join(".")}`),
    value,
  )

function operand(item: Operand, scope: Scope): unknown {
  switch (item.kind) {
    case "literal":
      return item.value
    case "pipeline":
      return walk(pipeline(item.pipeline, scope), item.path)
    case "function":
      return call(item.name, [], scope)
    case "field": {
      if (item.from === "dot") return walk(scope.dot, item.path)
      if (item.from === "root") return walk(scope.root, item.path)
      if (!scope.variables.has(item.from)) bad(`undefined variable "${item.from}"`)
      return walk(scope.variables.get(item.from), item.path)
    }
  }
}

function call(name: string, values: readonly unknown[], scope: Scope): unknown {
  return scope.functions[name]?.(...values)
}

function pipeline(commands: Pipeline, scope: Scope): unknown {
  let piped: unknown[] = []
  for (const [head, ...rest] of commands) {
    if (!head) continue
    const values = [...rest.map((item) => operand(item, scope)), ...piped]
    if (head.kind === "function") piped = [logical(head.name, rest, scope) ?? call(head.name, values, scope)]
    else {
      const value = operand(head, scope)
      // Arguments after a field: a method such as `.Label "name"`, given as a function by the row.
      piped = [typeof value === "function" ? (value as (...given: unknown[]) => unknown)(...values) : value]
    }
  }
  return piped[0]
}

/** `and` and `or` look at their arguments only as far as needed. */
function logical(name: string, items: readonly Operand[], scope: Scope): unknown {
  if ((name !== "and" && name !== "or") || items.length === 0) return undefined
  let value: unknown
  for (const item of items) {
    value = operand(item, scope)
    if (truthy(value) === (name === "or")) break
  }
  return value ?? ""
}

function entries(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return []
  if (Array.isArray(value)) return value.map((item, index) => [index, item])
  if (typeof value === "number") return Array.from({ length: value }, (_, index) => [index, index])
  if (typeof value === "object") return Object.entries(value).sort(([a], [b]) => compare(a, b))
  return bad(`range can't iterate over ${goPrint(value)}`)
}

/** The field that a pipeline of a field alone leads to. */
function lastField([command, ...more]: Pipeline): string | undefined {
  const [head, ...rest] = command ?? []
  if (more.length > 0 || rest.length > 0 || head === undefined || !("path" in head)) return undefined
  return head.path.at(-1)
}

function render(nodes: readonly Node[], scope: Scope): string {
  let out = ""
  for (const node of nodes) out += renderNode(node, scope)
  return out
}

function renderNode(node: Node, scope: Scope): string {
  switch (node.kind) {
    case "text":
      return node.text
    case "output": {
      const value = pipeline(node.pipeline, scope)
      const name = value === null ? lastField(node.pipeline) : undefined
      return name === undefined ? goPrint(value) : printAbsent(name)
    }
    case "assign":
      scope.variables.set(node.name, pipeline(node.pipeline, scope))
      return ""
    case "if":
      return render(truthy(pipeline(node.pipeline, scope)) ? node.body : node.otherwise, scope)
    case "with": {
      const dot = pipeline(node.pipeline, scope)
      return truthy(dot) ? render(node.body, { ...scope, dot }) : render(node.otherwise, scope)
    }
    case "range": {
      const items = entries(pipeline(node.pipeline, scope))
      if (items.length === 0) return render(node.otherwise, scope)
      return items
        .map(([key, dot]) => render(node.body, rangeScope(scope, node.variables, key, dot)))
        .join("")
    }
  }
}

function rangeScope(scope: Scope, names: readonly string[], key: unknown, dot: unknown): Scope {
  const variables = new Map(scope.variables)
  const [first, second] = names
  if (first && second) variables.set(first, key).set(second, dot)
  else if (first) variables.set(first, dot)
  return { ...scope, dot, variables }
}

/**
 * Compiles a template once; the result renders one value, and throws Failure "invalid" where the value lacks a field.
 * `more` replaces functions. Throws Failure "invalid" for a malformed template.
 */
export function compileTemplate(template: string, more: Functions = {}): (value: unknown) => string {
  const known = { ...functions, ...more }
  const nodes = parseTemplate(template)
  const missing = calledFunctions(nodes).find((name) => !Object.hasOwn(known, name))
  if (missing) throw failure("invalid", `template: :1: function "${missing}" not defined`)
  return (value) => render(nodes, { root: value, dot: value, variables: new Map(), functions: known })
}
