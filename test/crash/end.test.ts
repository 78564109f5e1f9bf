// A daemon that ends while it still clears away what was removed leaves nothing: above all no launcher started anew.
import { expect, test } from "bun:test"
import { eventually, startEngine } from "../fixtures/engine.ts"

test("a daemon is ended right after many containers and volumes were removed: nothing stays", async () => {
  const engine = await startEngine()
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`http://localhost${path}`, {
      method,
      unix: engine.socket,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    })
    expect([path, answer.ok]).toEqual([path, true])
    return answer.text()
  }
  const volumes = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`/data${index}`, {}]))
  for (let round = 0; round < 3; round++) {
    const ids = await Promise.all(
      Array.from({ length: 24 }, async () => {
        const config = { Image: "busybox", Cmd: ["sleep", "1000"], Volumes: volumes }
        const { Id }: { Id: string } = JSON.parse(await ask("POST", "/containers/create", config))
        return Id
      }),
    )
    await Promise.all(ids.slice(0, 6).map((id) => ask("POST", `/containers/${id}/start`)))
    await Promise.all(ids.map((id) => ask("DELETE", `/containers/${id}?force=1&v=1`)))
    // The veths of containers that ended are looked after a second and a half later.
    if (round === 1) await Bun.sleep(1490)
    process.kill(engine.pid(), "SIGTERM")
    await eventually("the daemon has ended", () => engine.daemonLog().split("stopped\n").length === round + 2)
    await engine.kill9()
    await eventually("nothing is left", () => engine.leftovers().length === 0, 2000).catch(
      (cause: unknown) => {
        throw new Error(engine.leftovers().join("\n"), { cause })
      },
    )
    await engine.start()
  }
  await engine.close()
}, 120_000)
