// docker-compose 1.29 brings a project up and down: networks, aliases, fixed addresses, published ports, scaling.
import { afterAll, expect } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { missing, proves } from "../clients/clients.ts"
import { eventually, execute, startEngine } from "../fixtures/engine.ts"

const engine = missing("docker-compose") === undefined ? await startEngine() : undefined
afterAll(() => engine?.close(), 60_000)

const block = process.pid % 200
const project = `version: "3.7"
services:
  db:
    image: busybox
    command: httpd -f -h /etc
    hostname: db-host
    networks:
      back:
        ipv4_address: 10.${block}.77.9
        aliases: [store]
  app:
    image: busybox
    command: httpd -f -h /etc
    hostname: app-host
    depends_on: [db]
    networks: [front, back]
    ports: ["127.0.0.1::80"]
  proxy:
    image: busybox
    command: sleep 1000
    networks: [front]
networks:
  front: {}
  back:
    internal: true
    labels: {tier: back}
    ipam:
      config: [{subnet: 10.${block}.77.0/24}]
`

proves(
  "docker-compose",
  "a project of three services on two networks: aliases, addresses, ports, scaling",
  async () => {
    if (engine === undefined) return
    const { ok } = engine
    const directory = join(engine.work, "shop")
    mkdirSync(directory)
    writeFileSync(join(directory, "docker-compose.yml"), project)
    const compose = async (...words: string[]): Promise<string> => {
      const file = join(directory, "docker-compose.yml")
      const result = await execute(["docker-compose", "-f", file, ...words], {
        env: engine.env,
        timeout: 60_000,
      })
      if (result.code !== 0)
        throw new Error(`docker-compose ${words.join(" ")}: ${result.stdout}${result.stderr}`)
      return result.stdout.trim()
    }
    const page = (service: string, host: string) =>
      compose("exec", "-T", service, "timeout", "3", "wget", "-qO-", `http://${host}/hostname`).catch(
        () => "",
      )

    await compose("up", "-d")
    expect(await ok("network", "ls", "--filter", "name=shop", "--format", "{{.Name}} {{.Internal}}")).toBe(
      "shop_back true\nshop_front false",
    )
    await eventually("the app reaches the database", async () => (await page("app", "store")) === "db-host")
    expect(await page("app", "db")).toBe("db-host")
    expect(await page("proxy", "app")).toBe("app-host")
    expect(await page("proxy", "db")).toBe("")
    const address = '{{(index .NetworkSettings.Networks "shop_back").IPAddress}}'
    expect(await ok("inspect", "-f", address, "shop_db_1")).toBe(`10.${block}.77.9`)
    const published = await compose("port", "app", "80")
    const answer = await fetch(`http://${published}/hostname`, { signal: AbortSignal.timeout(3000) })
    expect(await answer.text()).toBe("app-host\n")

    await compose("up", "-d", "--scale", "proxy=3")
    expect((await ok("ps", "-q", "--filter", "network=shop_front")).split("\n")).toHaveLength(4)
    expect((await page("app", "proxy")) === "").toBe(true)
    const lookUp = await compose("exec", "-T", "app", "nslookup", "proxy").catch(
      (error: Error) => error.message,
    )
    expect(new Set(lookUp.match(/Address:\s+(?!127)\S+/g) ?? []).size).toBe(3)
    await compose("restart", "-t", "0", "app")
    await eventually("names hold after a restart", async () => (await page("app", "store")) === "db-host")
    await compose("down", "-t", "0")
    expect(await ok("network", "ls", "-q", "--filter", "type=custom")).toBe("")
    expect(await ok("ps", "-aq")).toBe("")
  },
  120_000,
)

proves(
  "docker-compose",
  "a project that builds its images",
  async () => {
    if (engine === undefined) return
    const directory = join(engine.work, "made")
    mkdirSync(join(directory, "app"), { recursive: true })
    writeFileSync(
      join(directory, "docker-compose.yml"),
      `version: "3.7"
services:
  app:
    build:
      context: app
      args: {WHO: compose}
      target: last
  other:
    build: {context: ., dockerfile: app/Dockerfile, target: first, args: [WHO=other]}
    image: made-other:1
`,
    )
    writeFileSync(
      join(directory, "app", "Dockerfile"),
      "FROM busybox AS first\nARG WHO\nRUN echo $WHO > /who\nCMD cat /who\nFROM first AS last\nCMD cat /who /who\n",
    )
    const compose = (...words: string[]) =>
      execute(["docker-compose", "-f", join(directory, "docker-compose.yml"), ...words], {
        env: { ...engine.env, DOCKER_BUILDKIT: "0", COMPOSE_DOCKER_CLI_BUILD: "0" },
        timeout: 60_000,
      })
    const built = await compose("build")
    expect([built.code, built.stdout]).toEqual([
      0,
      expect.stringContaining("Successfully tagged made_app:latest"),
    ])
    expect(await engine.ok("run", "--rm", "made_app")).toBe("compose\ncompose")
    expect(await engine.ok("run", "--rm", "made-other:1")).toBe("other")
    const up = await compose("up", "--build")
    expect([up.code, up.stdout]).toEqual([0, expect.stringContaining("compose")])
    expect((await compose("down", "--rmi", "all")).code).toBe(0)
    expect(await engine.ok("images", "-q", "made_app")).toBe("")
  },
  120_000,
)
