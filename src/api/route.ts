// What a route is, and the router that finds one: a table in, one look-up per request.
import findMyWay from "find-my-way"
import type { Call } from "./call.ts"

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE"

export interface Route {
  readonly method: Method
  /** "/containers/:id/json"; a parameter written ":name+" may hold slashes. */
  readonly path: string
  /** One line for docs/compatibility.md. */
  readonly summary: string
  /** "refused" routes exist to say clearly why not. */
  readonly support: "yes" | "partly" | "refused"
  /** Takes the connection over when the client asks for an upgrade to tcp. */
  readonly hijacks?: boolean
  /** As `hijacks`, for an upgrade to websocket. */
  readonly websocket?: boolean
  /** As `hijacks`, for an upgrade to HTTP/2. */
  readonly h2c?: boolean
  readonly run: (call: Call) => void | Promise<void>
}

export interface Found {
  readonly route: Route
  readonly params: Readonly<Record<string, string | undefined>>
}

interface Tail {
  readonly suffix: string
  readonly name: string
  readonly route: Route
}

/** A look-up of method and path (without version prefix and query). Exact segments win over parameters. */
export function createRouter(routes: readonly Route[]): (method: string, path: string) => Found | undefined {
  const router = findMyWay({ ignoreTrailingSlash: true, maxParamLength: 4096 })
  const found = (route: Route) => () => route
  const tails = new Map<string, Tail[]>()
  for (const route of routes) {
    const slashy = /^(.*\/):(\w+)\+(.*)$/.exec(route.path)
    if (!slashy) {
      router.on(route.method, route.path, found(route))
      continue
    }
    const [, prefix = "", name = "", suffix = ""] = slashy
    const key = `${route.method} ${prefix}`
    tails.set(key, [...(tails.get(key) ?? []), { suffix, name, route }])
  }
  const tailsOf = new Map<unknown, readonly Tail[]>()
  for (const [key, list] of tails) {
    const [method, prefix] = key.split(" ") as [Method, string]
    const marker = () => undefined
    tailsOf.set(
      marker,
      list.sort((a, b) => b.suffix.length - a.suffix.length),
    )
    router.on(method, `${prefix}*`, marker)
  }
  return (method, path) => {
    const match = router.find(method as Method, path)
    if (match === null) return undefined
    const several = tailsOf.get(match.handler)
    if (several === undefined) {
      for (const name in match.params) if (match.params[name] === "") return undefined
      return { route: (match.handler as () => unknown)() as Route, params: match.params }
    }
    const rest = match.params["*"] ?? ""
    for (const { suffix, name, route } of several) {
      if (rest.length > suffix.length && rest.endsWith(suffix)) {
        return { route, params: { [name]: rest.slice(0, rest.length - suffix.length) } }
      }
    }
    return undefined
  }
}
