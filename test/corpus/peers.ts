// The judges, each private to a run: dockerd's classic builder, and buildkitd behind buildx with its base images in a registry.
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startDocker } from "../../bench/harness/peers.ts"
import { startRegistry } from "../fixtures/docker-registry.ts"
import { execute } from "../fixtures/execute.ts"
import { makeBaseImages } from "./base-images.ts"
import { archivingBuilder, type Builder, keepingBuilder } from "./builders.ts"

export interface StartedBuilder extends Builder {
  close(): Promise<void>
}

/** dockerd 20.10 with the docker client's classic builder. */
export const startClassic = async (): Promise<StartedBuilder> => {
  const peer = await startDocker()
  if (peer === undefined) throw new Error("dockerd is not installed: apt-get install docker.io")
  const work = mkdtempSync("/tmp/slq-corpus-")
  const bases = await makeBaseImages()
  await execute([...peer.client, "load"], { stdin: bases.archive })
  return {
    ...keepingBuilder({
      client: peer.client,
      verb: ["build"],
      options: { env: { DOCKER_BUILDKIT: "0", DOCKER_CONFIG: work } },
      work,
      baseDiffIds: bases.diffIds,
    }),
    async close() {
      await peer.close()
      rmSync(work, { recursive: true, force: true })
    },
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null ? Promise.resolve() : new Promise((resolve) => child.once("exit", () => resolve()))

/** buildkitd and buildx, by SLOOP_BUILDKITD and SLOOP_BUILDX or where Go put them for the tests. */
export const startBuildKit = async (): Promise<StartedBuilder> => {
  const buildkitd = process.env.SLOOP_BUILDKITD ?? "/opt/sloop-peers/bin/buildkitd"
  const buildx = process.env.SLOOP_BUILDX ?? "/opt/sloop-peers/bin/buildx"
  for (const path of [buildkitd, buildx])
    if (!existsSync(path)) throw new Error(`there is no ${path}: SLOOP_BUILDKITD and SLOOP_BUILDX name them`)
  const work = mkdtempSync("/tmp/slq-corpus-")
  const registry = await startRegistry()
  const bases = await makeBaseImages()
  const archive = join(work, "bases.tar")
  writeFileSync(archive, bases.archive)
  for (const name of bases.names) {
    const from = `docker-archive:${archive}:${name}`
    const to = `docker://${registry.host}/${name}`
    const copied = await execute(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", from, to])
    if (copied.code !== 0) throw new Error(`skopeo: ${copied.stderr}`)
  }
  const configuration = join(work, "buildkitd.toml")
  writeFileSync(
    configuration,
    `[registry."docker.io"]\nmirrors = ["${registry.host}"]\n[registry."${registry.host}"]\nhttp = true\n`,
  )
  const socket = `unix://${work}/b.sock`
  const log = openSync(join(work, "log"), "a")
  const words = ["--config", configuration, "--root", join(work, "root"), "--addr", socket]
  const daemon = spawn(buildkitd, [...words, "--oci-worker-snapshotter=overlayfs"], {
    stdio: ["ignore", log, log],
    env: { ...process.env, TMPDIR: work },
  })
  const configDirectory = join(work, "config")
  mkdirSync(join(configDirectory, "cli-plugins"), { recursive: true })
  symlinkSync(buildx, join(configDirectory, "cli-plugins", "docker-buildx"))
  const env = {
    DOCKER_CONFIG: configDirectory,
    BUILDX_CONFIG: join(work, "buildx"),
    BUILDX_NO_DEFAULT_ATTESTATIONS: "1",
  }
  const created = ["docker", "buildx", "create", "--name", "corpus", "--driver", "remote", socket]
  for (let attempt = 0; !existsSync(join(work, "b.sock")); attempt++) {
    if (attempt > 200) throw new Error(`buildkitd does not come up, see ${work}/log`)
    await Bun.sleep(50)
  }
  const { code, stderr } = await execute(created, { env })
  if (code !== 0) throw new Error(`buildx create: ${stderr}`)
  return {
    ...archivingBuilder({
      words: ["docker", "buildx", "--builder", "corpus", "build"],
      options: { env },
      work,
      baseDiffIds: bases.diffIds,
    }),
    async close() {
      daemon.kill("SIGTERM")
      await ended(daemon)
      await registry.close()
      rmSync(work, { recursive: true, force: true })
    },
  }
}
