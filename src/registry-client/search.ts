// search: the older index API where a registry still has it, else a look through its catalog.
import { errorKind, failure } from "../base/errors.ts"
import { parseJsonObject } from "../base/json-bounded.ts"
import { readSmall } from "./documents.ts"
import { plain, type Step } from "./refusal.ts"
import type { FoundRepository } from "./registry-client.ts"
import type { Session } from "./session.ts"
import { objectsOf, pages } from "./tags.ts"

const text = (value: unknown): string => (typeof value === "string" ? plain(value) : "")

export const searchRegistry = async (
  session: Session,
  asked: { domain: string; term: string; limit: number },
  signal?: AbortSignal,
): Promise<FoundRepository[]> => {
  const { domain, term, limit } = asked
  const step: Step = { what: "search", repository: domain, pulls: true }
  const answer = await session.ask({
    method: "GET",
    path: `/v1/search?${new URLSearchParams({ q: term, n: String(limit) })}`,
    scopes: [],
    step,
    accept: [200, 400, 401, 403, 404, 405, 410],
    signal,
  })
  if (answer.status === 200) {
    const document = parseJsonObject(await readSmall(answer, 4 << 20, step), `the answer of ${domain}`)
    return objectsOf(document.results)
      .slice(0, limit)
      .map((entry) => ({
        name: text(entry.name),
        description: text(entry.description),
        stars: typeof entry.star_count === "number" ? entry.star_count : 0,
        official: entry.is_official === true,
      }))
  }
  answer.discard()
  const found: FoundRepository[] = []
  try {
    const catalog = pages(session, "/v2/_catalog?n=1000", "repositories", {
      scopes: ["registry:catalog:*"],
      step,
      signal,
    })
    for await (const page of catalog) {
      for (const name of page)
        if (name.includes(term))
          found.push({ name: `${domain}/${name}`, description: "", stars: 0, official: false })
      if (found.length >= limit) break
    }
  } catch (error) {
    if (errorKind(error) !== "not-found" && errorKind(error) !== "not-implemented") throw error
    throw failure(
      "not-implemented",
      `cannot search ${domain}: the registry offers neither a search nor a catalog`,
      {
        cause: error,
      },
    )
  }
  return found.slice(0, limit)
}
