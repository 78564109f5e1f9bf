// Many verbs of networks at once, in any order: what the engine says of each container is what the kernel has.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

const call = async (
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> => {
  const response = await fetch(`http://localhost${path}`, {
    unix: engine.socket,
    method,
    headers: { "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text() }
}
const containers = ["ca", "cb", "cc", "cd"]
const networks = ["na", "nb", "nc", "bridge"]

beforeAll(async () => {
  for (const name of networks) if (name !== "bridge") await engine.ok("network", "create", name)
  for (const name of containers)
    await engine.ok("run", "-d", "--name", name, "-p", "127.0.0.1::80", "busybox", "sleep", "100000")
}, 30_000)

/** A small generator with a seed that a failure prints. */
const generator = (seed: number) => () => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  return seed / 2_147_483_648
}

const expected = new Set([200, 201, 204, 304, 400, 403, 404, 409])

/** One verb chosen at random; its answer is a success or a refusal, never a failure of the engine. */
const act = async (random: () => number): Promise<void> => {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const [container, network] = [pick(containers), pick(networks)]
  const [kind, turn] = [random(), random()]
  const answer =
    kind < 0.35
      ? await call("POST", `/networks/${network}/connect`, { Container: container })
      : kind < 0.7
        ? await call("POST", `/networks/${network}/disconnect`, { Container: container })
        : kind < 0.78
          ? await call("POST", `/containers/${container}/restart?t=0`)
          : kind < 0.84
            ? await call("POST", `/containers/${container}/${turn < 0.5 ? "stop?t=0" : "start"}`)
            : kind < 0.92
              ? await call("POST", `/containers/${container}/update`, {
                  PublishedPorts: {
                    [turn < 0.5 ? "Add" : "Remove"]: { "90/tcp": [{ HostIp: "127.0.0.1" }] },
                  },
                })
              : turn < 0.5
                ? await call("DELETE", `/networks/${network}`)
                : await call("POST", "/networks/create", { Name: network })
  if (!expected.has(answer.status)) throw new Error(`${answer.status} ${answer.text}`)
}

interface Inspected {
  State: { Running: boolean }
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> }
}

const disagreement = async (name: string): Promise<string | undefined> => {
  const { State, NetworkSettings } = JSON.parse(await engine.ok("inspect", name))[0] as Inspected
  if (!State.Running) return undefined
  const wanted = Object.values(NetworkSettings.Networks)
    .map(({ IPAddress }) => IPAddress)
    .toSorted()
  const { stdout } = await engine.docker("exec", name, "ip", "-o", "-4", "address")
  const there = [...stdout.matchAll(/inet (\d+\.\d+\.\d+\.\d+)/g)]
    .map((match) => match[1] ?? "")
    .filter((address) => address !== "127.0.0.1")
    .toSorted()
  const hosts = (await engine.ok("exec", name, "cat", "/etc/hosts")).split("\n")
  const absent = wanted.find((address) => !hosts.some((line) => line.startsWith(`${address}\t`)))
  if (absent !== undefined) return `${name}: ${absent} is not in ${hosts.join(" | ")}`
  return there.join() === wanted.join() ? undefined : `${name}: ${there.join()} instead of ${wanted.join()}`
}

test("a hundred and sixty verbs, eight at once", async () => {
  const seed = Math.floor(Math.random() * 1e6)
  const random = generator(seed)
  try {
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 8 }, () => act(random)))
    for (const name of containers) {
      let last: string | undefined
      await eventually(`${name} is on its networks`, async () => {
        last = await disagreement(name)
        return last === undefined
      }).catch(() => {
        throw new Error(last)
      })
    }
    for (const name of containers)
      expect((await call("DELETE", `/containers/${name}?force=1`)).status).toBe(204)
    for (const name of networks) {
      if (name === "bridge") continue
      const { status } = await call("DELETE", `/networks/${name}`)
      expect([204, 404]).toContain(status)
    }
  } catch (error) {
    throw new Error(
      `seed ${seed}: ${error instanceof Error ? error.message : error}\n${engine.daemonLog().slice(-3000)}`,
    )
  }
}, 120_000)
