// Containers: files in and out, and the images that are made of them.
import { decompress } from "../../base/decompress.ts"
import { failure } from "../../base/errors.ts"
import type { Engine } from "../../engine/engine.ts"
import { commitSchema } from "../../wire/wire.ts"
import { readOptionalJson } from "../body.ts"
import type { Call } from "../call.ts"
import type { Route } from "../route.ts"
import { receiveBytes, sendBytes } from "../stream/bytes.ts"
import { commitConfig } from "../translate/create.ts"
import { targetReference } from "../translate/registry.ts"
import { pathStatHeader } from "../translate/things.ts"

const STAT_HEADER = "X-Docker-Container-Path-Stat"
const TAR = "application/x-tar"

export function containerFileRoutes({ containers }: Pick<Engine, "containers">): Route[] {
  async function stat(call: Call): Promise<void> {
    const found = await containers.archiveStat(call.param("id"), requirePath(call))
    call.empty(200, { [STAT_HEADER]: pathStatHeader(found) })
  }

  async function get(call: Call): Promise<void> {
    const { stat: found, tar } = await containers.archiveGet(call.param("id"), requirePath(call))
    await sendBytes(call, tar, { "Content-Type": TAR, [STAT_HEADER]: pathStatHeader(found) })
  }

  async function put(call: Call): Promise<void> {
    await containers.archivePut(
      call.param("id"),
      requirePath(call),
      decompress(receiveBytes(call.request), "the archive"),
      {
        noOverwriteDirNonDir: call.query.flag("noOverwriteDirNonDir"),
        copyOwners: call.query.flag("copyUIDGID"),
      },
    )
    call.empty(200)
  }

  async function exportRoot(call: Call): Promise<void> {
    const { id } = containers.get(call.param("id"))
    await sendBytes(call, containers.export(id), { "Content-Type": "application/octet-stream" })
  }

  async function commit(call: Call): Promise<void> {
    const { query } = call
    const container = query.text("container")
    if (container === "") throw failure("invalid", "bad parameter: container cannot be empty")
    const config = commitConfig(await readOptionalJson(call.request, commitSchema))
    const id = await containers.commit(container, {
      reference: targetReference(query.text("repo"), query.text("tag")),
      author: query.optional("author"),
      comment: query.optional("comment"),
      pause: query.flag("pause", true),
      config,
      changes: query
        .all("changes")
        .flatMap((text) => text.split("\n"))
        .filter((line) => line.trim() !== ""),
    })
    call.json({ Id: id }, 201)
  }

  const path = "/containers/:id/archive"
  return [
    { method: "HEAD", path, summary: "Look at a path", support: "yes", run: stat },
    { method: "GET", path, summary: "Read a path as a tar", support: "yes", run: get },
    { method: "PUT", path, summary: "Extract a tar at a path", support: "yes", run: put },
    {
      method: "GET",
      path: "/containers/:id/export",
      summary: "Read its whole root as a tar",
      support: "yes",
      run: exportRoot,
    },
    {
      method: "POST",
      path: "/commit",
      summary: "Make an image of a container",
      support: "yes",
      run: commit,
    },
  ]
}

function requirePath(call: Call): string {
  const path = call.query.text("path")
  if (path === "") throw failure("invalid", "bad parameter: path cannot be empty")
  return path
}
