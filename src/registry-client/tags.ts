// Lists that come in pages: the tags of a repository, the repositories of a registry.
import { failure } from "../base/errors.ts"
import { isJsonObject, parseJsonObject } from "../base/json-bounded.ts"
import { type Place, readSmall, stepAt } from "./documents.ts"
import { cannot, type Step } from "./refusal.ts"
import type { Session } from "./session.ts"

const mostPages = 1000
const mostEntries = 1_000_000

/** The next page of an RFC 5988 Link header, which must lie at the same registry. */
const nextPage = (header: string | undefined, from: URL): string | undefined => {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(header ?? "")?.[1]
  if (target === undefined) return undefined
  try {
    const url = new URL(target, from)
    return url.origin === from.origin ? url.href : undefined
  } catch {
    return undefined
  }
}

export async function* pages(
  session: Session,
  first: string,
  key: "tags" | "repositories",
  asked: { scopes: readonly string[]; step: Step; signal?: AbortSignal | undefined },
): AsyncGenerator<string[]> {
  let path: string | undefined = first
  let entries = 0
  for (let page = 0; path !== undefined && page < mostPages; page++) {
    const answer = await session.ask({ method: "GET", path, ...asked, accept: [200] })
    const document = parseJsonObject(
      await readSmall(answer, 4 << 20, asked.step),
      `the list of ${key} of ${asked.step.repository}`,
    )
    const list = document[key] ?? []
    if (!Array.isArray(list) || !list.every((entry) => typeof entry === "string"))
      throw failure("invalid", `${cannot(asked.step)}: the registry's list of ${key} is none`)
    entries += list.length
    if (entries > mostEntries)
      throw failure("invalid", `${cannot(asked.step)}: the registry's list of ${key} never ends`)
    yield list
    path = nextPage(answer.headers.link === undefined ? undefined : String(answer.headers.link), answer.url)
  }
}

/** All tags, in the registry's order, each once. */
export const listTags = async (place: Place, signal?: AbortSignal): Promise<string[]> => {
  const tags = new Set<string>()
  const asked = { scopes: place.scopes, step: stepAt(place, "list the tags of"), signal }
  for await (const page of pages(place.session, `/v2/${place.path}/tags/list?n=1000`, "tags", asked))
    for (const tag of page) if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(tag)) tags.add(tag)
  return [...tags]
}

/** Whether the value of a search answer is a list of objects. */
export const objectsOf = (value: unknown): Readonly<Record<string, unknown>>[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : []
