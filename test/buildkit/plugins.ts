// Docker's CLI plugins where the machine has them: buildx and compose v2, as plugins of a private configuration.
import { existsSync, mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import type { TestEngine } from "../fixtures/engine.ts"
import type { Output, RunOptions } from "../fixtures/execute.ts"

const PLACES = [
  "/usr/libexec/docker/cli-plugins",
  "/usr/lib/docker/cli-plugins",
  "/usr/local/lib/docker/cli-plugins",
  "/usr/local/libexec/docker/cli-plugins",
]

/** The plugin's executable: as the environment names it, among the peers, or where Docker looks; undefined = there is none. */
export function findPlugin(name: "buildx" | "compose"): string | undefined {
  const named = process.env[name === "buildx" ? "SLOOP_BUILDX" : "SLOOP_COMPOSE"]
  const candidates = [
    ...(named === undefined ? [] : [named]),
    `/opt/sloop-peers/bin/${name}`,
    ...PLACES.map((place) => join(place, `docker-${name}`)),
  ]
  return candidates.find((path) => existsSync(path))
}

/** Runs docker with these plugins against an engine. */
export function dockerWithPlugins(engine: TestEngine, plugins: Readonly<Record<string, string | undefined>>) {
  const config = join(engine.root, "plugins")
  mkdirSync(join(config, "cli-plugins"), { recursive: true })
  for (const [name, path] of Object.entries(plugins))
    if (path !== undefined) symlinkSync(path, join(config, "cli-plugins", `docker-${name}`))
  const env = { DOCKER_CONFIG: config, BUILDX_BAKE_ENTITLEMENTS_FS: "0", NO_COLOR: "1" }
  const run = (words: readonly string[], options: RunOptions = {}): Promise<Output> =>
    engine.dockerWith({ timeout: 60_000, ...options, env: { ...env, ...options.env } }, ...words)
  return {
    env: { ...engine.env, ...env },
    run,
    /** Must exit with 0; gives both outputs. */
    async ok(...words: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await run(words)
      if (code !== 0) throw new Error(`docker ${words.join(" ")}: exit code ${code}\n${stdout}${stderr}`)
      return `${stdout}${stderr}`
    },
  }
}

export type DockerWithPlugins = ReturnType<typeof dockerWithPlugins>
