// The route table itself: complete, described once, and never an internal error on an empty request.
import { expect, test } from "bun:test"
import { routeTable } from "../../src/api/api.ts"
import { createFakeBuilder } from "./fake-builder.ts"
import { createFakeEngine } from "./fake-engine.ts"
import { serve } from "./serve.ts"

test("method and path are unique and every route says what it does", () => {
  const routes = routeTable(createFakeEngine(), createFakeBuilder())
  const keys = routes.map(({ method, path }) => `${method} ${path}`)
  expect(new Set(keys).size).toBe(keys.length)
  for (const { summary } of routes) expect(summary).not.toBe("")
})

test("no route answers an empty request with an internal error", async () => {
  const engine = createFakeEngine()
  await using api = await serve(engine)
  for (const { method, path } of routeTable(engine, createFakeBuilder())) {
    if (path === "/events") continue
    const filled = path.replace(/:\w+\+?/g, "thing")
    const response = await api.request(method, `/v1.50${filled}`)
    expect([path, response.status === 500]).toEqual([path, false])
    await response.body?.cancel()
  }
  expect((await api.request("GET", "/_ping")).status).toBe(200)
})

test("every endpoint that issue 2 names is there", () => {
  const keys = new Set(
    routeTable(createFakeEngine(), createFakeBuilder())
      .filter(({ support }) => support !== "refused")
      .map(({ method, path }) => `${method} ${path.replace(/:\w+\+?/g, "*")}`),
  )
  const wanted = [
    "GET /_ping",
    "HEAD /_ping",
    "GET /version",
    "GET /info",
    "GET /events",
    "GET /system/df",
    "GET /images/json",
    "GET /images/*/json",
    "POST /images/load",
    "GET /images/get",
    "GET /images/*/get",
    "POST /images/create",
    "POST /images/*/tag",
    "DELETE /images/*",
    "GET /images/*/history",
    "POST /containers/create",
    "GET /containers/json",
    ...["json", "logs", "top", "stats", "changes", "archive", "export"].map(
      (verb) => `GET /containers/*/${verb}`,
    ),
    ...["start", "attach", "wait", "stop", "kill", "restart", "pause", "unpause", "rename", "resize"].map(
      (verb) => `POST /containers/*/${verb}`,
    ),
    "HEAD /containers/*/archive",
    "PUT /containers/*/archive",
    "POST /containers/*/update",
    "DELETE /containers/*",
    "POST /containers/prune",
    "POST /containers/*/exec",
    "POST /exec/*/start",
    "POST /exec/*/resize",
    "GET /exec/*/json",
    "GET /volumes",
    "POST /volumes/create",
    "GET /volumes/*",
    "DELETE /volumes/*",
    "POST /volumes/prune",
    "GET /networks",
    "GET /networks/*",
  ]
  expect(wanted.filter((key) => !keys.has(key))).toEqual([])
})
