// The Dev Containers CLI: `up` and `exec` with a local image, as editors do it.
import { afterAll, expect } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"
import { missing, packages, proves } from "./clients.ts"

const engine = missing("Dev Containers CLI") === undefined ? await startEngine() : undefined
afterAll(() => engine?.close(), 60_000)

const devcontainer = async (...words: readonly string[]) => {
  const program = join(packages, "@devcontainers", "cli", "devcontainer.js")
  const result = await execute(["node", program, ...words], {
    env: { ...engine?.env, HOME: engine?.work ?? "/" },
    timeout: 100_000,
  })
  if (result.code !== 0) throw new Error(`devcontainer ${words.join(" ")}: ${result.stdout}${result.stderr}`)
  return result.stdout.trim()
}

proves(
  "Dev Containers CLI",
  "up with lifecycle commands and mounts, exec, up again",
  async () => {
    if (engine === undefined) return
    const folder = join(engine.work, "project")
    mkdirSync(join(folder, ".devcontainer"), { recursive: true })
    writeFileSync(join(folder, "source.txt"), "of the host\n")
    const config = {
      image: "busybox:latest",
      containerEnv: { GIVEN: "inside" },
      remoteEnv: { REMOTE: `${"$"}{containerEnv:GIVEN} too` },
      mounts: ["source=dev-cache,target=/cache,type=volume"],
      onCreateCommand: "echo created > /cache/created",
      postCreateCommand: { one: "touch made-inside", two: "echo second > /cache/second" },
      forwardPorts: [3000],
      init: true,
      capAdd: ["SYS_PTRACE"],
      securityOpt: ["seccomp=unconfined"],
    }
    writeFileSync(join(folder, ".devcontainer", "devcontainer.json"), JSON.stringify(config))
    const up = () => devcontainer("up", "--workspace-folder", folder).then((text) => JSON.parse(text))
    const first = await up()
    expect([first.outcome, first.remoteUser]).toEqual(["success", "root"])
    expect(readFileSync(join(folder, "made-inside"), "utf8")).toBe("")
    const inside = (...words: readonly string[]) =>
      devcontainer("exec", "--workspace-folder", folder, ...words)
    expect(await inside("cat", "source.txt", "/cache/created", "/cache/second")).toBe(
      "of the host\ncreated\nsecond",
    )
    expect(await inside("sh", "-c", "echo $GIVEN, $REMOTE")).toBe("inside, inside too")
    const second = await up()
    expect(second.containerId).toBe(first.containerId)
    await engine.ok("stop", "-t", "0", first.containerId)
    expect((await up()).containerId).toBe(first.containerId)
    await engine.ok("rm", "-fv", first.containerId)
    await engine.ok("volume", "rm", "dev-cache")
  },
  110_000,
)

/** Files of a project beneath the engine's directory. */
const project = (name: string, files: Readonly<Record<string, string>>): string => {
  const folder = join(engine?.work ?? "/", name)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true })
    writeFileSync(join(folder, path), text, { mode: 0o755 })
  }
  return folder
}

proves(
  "Dev Containers CLI",
  "up from a Dockerfile with build arguments, and with a feature of the project's own",
  async () => {
    if (engine === undefined) return
    const dockerfile = "ARG BASE=scratch\nFROM $BASE\nARG WHO\nRUN echo made for $WHO > /made\n"
    const folder = project("built", {
      ".devcontainer/Dockerfile": dockerfile,
      ".devcontainer/devcontainer.json": JSON.stringify({
        build: { dockerfile: "Dockerfile", args: { BASE: "busybox:latest", WHO: "us" } },
        features: { "./greeter": { word: "hi" } },
        overrideFeatureInstallOrder: ["./greeter"],
      }),
      ".devcontainer/greeter/devcontainer-feature.json": JSON.stringify({
        id: "greeter",
        version: "1.0.0",
        name: "Greeter",
        options: { word: { type: "string", default: "none" } },
        containerEnv: { GREETER: "installed" },
      }),
      ".devcontainer/greeter/install.sh": "#!/bin/sh\necho $WORD > /greeting\n",
    })
    const first = JSON.parse(await devcontainer("up", "--workspace-folder", folder))
    expect(first.outcome).toBe("success")
    const said = await devcontainer(
      ...["exec", "--workspace-folder", folder, "sh", "-c", "cat /made /greeting; echo $GREETER"],
    )
    expect(said).toBe("made for us\nhi\ninstalled")
    await engine.ok("rm", "-fv", first.containerId)
  },
  110_000,
)
