// Images for attacks: busybox's root file system with other entries in place of its own, brought in by docker load.
import { join } from "node:path"
import { type TarEntry, tarOf } from "../../launcher/test/tar.ts"
import { busyboxRootfsTar, dockerArchive } from "../fixtures/busybox-image.ts"
import type { TestEngine } from "../fixtures/engine.ts"

/** Loads an image with further layers; gives its name. Throws what docker load said. */
export const imageOf = async (
  engine: TestEngine,
  name: string,
  entries: readonly TarEntry[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  // What lies there is taken away first: the kinds may differ.
  const whiteouts = entries.map((entry): TarEntry => {
    const path = entry.name.replace(/\/$/, "")
    const at = path.lastIndexOf("/") + 1
    return { name: `${path.slice(0, at)}.wh.${path.slice(at)}` }
  })
  const top = whiteouts.filter(
    (entry) => !entry.name.slice(0, -1).includes("/") || /^(etc|dev|bin)\//.test(entry.name),
  )
  const layers = [await busyboxRootfsTar(), tarOf(...top), tarOf(...entries)]
  const archive = await dockerArchive([
    { layers, tags: [`${name}:latest`], config: { Env: ["PATH=/bin"], Cmd: ["sh"], ...config } },
  ])
  const path = join(engine.work, `${name}.tar`)
  await Bun.write(path, archive)
  await engine.ok("load", "-q", "-i", path)
  return name
}
