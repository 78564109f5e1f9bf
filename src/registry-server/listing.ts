// Lists of tags and repositories, a page at a time. Distribution specification 1.1, "Content Discovery".
import type { Exchange } from "./exchange.ts"
import { Refusal } from "./refusal.ts"
import type { Store } from "./store.ts"

/** Entries after `last`, at most `n` of them, and the link to the next page. */
const page = (
  exchange: Exchange,
  all: readonly string[],
): { entries: readonly string[]; headers: Record<string, string> } => {
  const asked = exchange.query.get("n")
  if (asked !== null && !/^\d{1,9}$/.test(asked))
    throw new Refusal("PAGINATION_NUMBER_INVALID", "invalid number of results requested", {
      detail: { n: asked.slice(0, 40) },
    })
  const last = exchange.query.get("last") ?? ""
  const rest = last === "" ? all : all.filter((entry) => entry > last)
  const entries = asked === null ? rest : rest.slice(0, Number(asked))
  const next = entries.at(-1)
  if (entries.length === rest.length || next === undefined) return { entries, headers: {} }
  const query = new URLSearchParams({ n: asked ?? "", last: next })
  return { entries, headers: { Link: `<${exchange.path}?${query}>; rel="next"` } }
}

/** Both lists as one, sorted by code point. */
const united = (one: readonly string[], other: readonly string[]): string[] =>
  [...new Set([...one, ...other])].toSorted()

export const serveTags = (exchange: Exchange, { repositories, images }: Store, repository: string): void => {
  const served = images?.tags(repository) ?? []
  if (!repositories.has(repository) && served.length === 0)
    throw new Refusal("NAME_UNKNOWN", "repository name not known to registry", {
      detail: { name: repository },
    })
  const { entries, headers } = page(exchange, united(repositories.tags(repository), served))
  exchange.json({ name: repository, tags: entries }, headers)
}

export const serveCatalog = (exchange: Exchange, { repositories, images }: Store): void => {
  const { entries, headers } = page(exchange, united(repositories.names(), images?.repositories() ?? []))
  exchange.json({ repositories: entries }, headers)
}
