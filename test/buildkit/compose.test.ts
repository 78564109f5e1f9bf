// An unmodified compose v2: it builds through buildx, and runs a project from its first to its last command.
import { afterAll, beforeAll, describe, expect } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { proves } from "../clients/clients.ts"
import { startEngine, type TestEngine } from "../fixtures/engine.ts"
import { type DockerWithPlugins, dockerWithPlugins, findPlugin } from "./plugins.ts"

const compose = findPlugin("compose")
const buildx = findPlugin("buildx")
const timeout = 90_000

const PROJECT = `
name: shop
services:
  db:
    build: ./db
    volumes: ["data:/data"]
    stop_grace_period: 1s
    healthcheck: { test: ["CMD", "test", "-f", "/data/ready"], interval: 200ms, retries: 30 }
  web:
    build: { context: ./web, args: { WORD: composed } }
    image: shop-web:1
    init: true
    depends_on: { db: { condition: service_healthy } }
    ports: ["127.0.0.1::8080"]
    networks: [front, default]
    secrets: [key]
    configs: [{ source: conf, target: /etc/conf }]
  job: { image: busybox, profiles: [tools], command: echo tool done }
networks: { front: {} }
volumes: { data: {} }
secrets: { key: { file: ./key } }
configs: { conf: { content: "a=b" } }
`

let engine: TestEngine
let docker: DockerWithPlugins
let file = ""

const run = (...words: readonly string[]) => docker.ok("compose", "-f", file, ...words)

describe.skipIf(compose === undefined || buildx === undefined)("compose v2", () => {
  beforeAll(async () => {
    engine = await startEngine()
    docker = dockerWithPlugins(engine, { buildx, compose })
    const directory = join(engine.work, "shop")
    for (const name of ["db", "web"]) mkdirSync(join(directory, name), { recursive: true })
    file = join(directory, "compose.yaml")
    writeFileSync(file, PROJECT)
    writeFileSync(join(directory, "key"), "the key\n")
    const waits = 'CMD ["sh", "-c", "touch /data/ready; echo db is up; exec sleep 600"]\n'
    writeFileSync(join(directory, "db/Dockerfile"), `FROM busybox\n${waits}`)
    writeFileSync(
      join(directory, "web/Dockerfile"),
      'FROM busybox\nARG WORD\nRUN echo $WORD > /index.html\nCMD ["sh", "-c", "echo web is up; exec httpd -f -p 8080 -h /"]\n',
    )
  }, timeout)
  afterAll(async () => {
    await engine?.close()
  }, timeout)

  proves(
    "compose v2",
    "builds all services at once, and the same again",
    async () => {
      const text = await run("build")
      expect(text).toContain("shop-web:1  Built")
      const ids = () => engine.ok("images", "-q", "--no-trunc", "--filter", "reference=shop-*")
      const before = await ids()
      expect(before.split("\n")).toHaveLength(2)
      await run("build")
      expect(await ids()).toBe(before)
    },
    timeout,
  )

  proves(
    "compose v2",
    "brings a project up in the order of its dependencies, and tells of it",
    async () => {
      expect(await run("up", "-d")).toContain("Container shop-web-1  Started")
      expect(await run("ps")).toMatch(/shop-db-1 .*\(healthy\)/)
      const web = JSON.parse(await run("ps", "--format", "json", "web")) as {
        State: string
        Publishers: unknown[]
      }
      expect([web.State, web.Publishers.length]).toEqual(["running", 1])
      expect(await run("logs")).toMatch(/web-1 +\| web is up/)
      expect(await run("ls")).toMatch(/shop +running\(2\)/)
      expect(await run("top")).toContain("httpd")
      expect(await run("images")).toMatch(/shop-web-1 +shop-web +1/)
    },
    timeout,
  )

  proves(
    "compose v2",
    "services reach each other by name, with their secrets and configs",
    async () => {
      expect(await run("exec", "-T", "web", "cat", "/index.html", "/run/secrets/key", "/etc/conf")).toBe(
        "composed\nthe key\na=b",
      )
      expect(await run("exec", "-T", "db", "wget", "-qO-", "http://web:8080/index.html")).toBe("composed\n")
      const address = (await run("port", "web", "8080")).trim()
      expect(await (await fetch(`http://${address}/index.html`)).text()).toBe("composed\n")
      expect(await run("run", "--rm", "job")).toContain("tool done")
      const copy = join(engine.work, "copied")
      await run("cp", "web:/index.html", copy)
      expect(await Bun.file(copy).text()).toBe("composed\n")
    },
    timeout,
  )

  proves(
    "compose v2",
    "scales, recreates, pauses, restarts",
    async () => {
      await run("up", "-d", "--scale", "web=2", "--no-recreate")
      expect(await run("ls")).toMatch(/shop +running\(3\)/)
      await run("pause", "web")
      await run("unpause", "web")
      await run("restart", "-t", "1", "db")
      await run("up", "-d", "--build", "--force-recreate", "-t", "1")
      expect(await run("ls")).toMatch(/shop +running\(2\)/)
      const exit = await docker.run(["compose", "-f", file, "exec", "-T", "web", "sh", "-c", "exit 6"])
      expect(exit.code).toBe(6)
    },
    timeout,
  )

  proves(
    "compose v2",
    "takes everything down",
    async () => {
      await run("down", "-t", "1", "-v", "--rmi", "local")
      expect(await engine.ok("ps", "-aq")).toBe("")
      expect(await engine.ok("volume", "ls", "-q")).toBe("")
      expect((await engine.ok("network", "ls", "--format", "{{.Name}}")).split("\n").sort()).toEqual([
        "bridge",
        "host",
        "none",
      ])
      expect(await engine.ok("images", "-q", "shop-db")).toBe("")
    },
    timeout,
  )
})
