// The pool's size follows demand, and it never works while something is being launched.
import { expect, test } from "bun:test"
import type { PoolOptions, Prepared } from "./pool.ts"
import { Pool } from "./pool.ts"

const prepared = (serial: string): Prepared => ({
  held: serial,
  link: `v${serial}`,
  interfaceName: "eth0",
  interfaceIndex: 2,
  addresses: { ipv4: { address: `10.0.0.${serial.slice(1)}`, prefixLength: 24, gateway: "10.0.0.1" } },
  macAddress: "",
})
const made = (options: Partial<PoolOptions> = {}) => {
  let serial = 0
  const dropped: string[] = []
  const failures: unknown[] = []
  const pool = new Pool({
    create: async () => {
      serial++
      return prepared(`n${serial}`)
    },
    drop: async (entries: readonly Prepared[]) => {
      dropped.push(...entries.map((entry) => entry.held))
    },
    failed: (error) => failures.push(error),
    quiet: 1,
    ...options,
  })
  return { pool, dropped, failures, count: () => serial }
}
const becomes = async (pool: Pool, size: number): Promise<void> => {
  while (pool.size !== size) await Bun.sleep(2)
}
const settle = async (pool: Pool): Promise<void> => {
  await Bun.sleep(15)
  await pool.settled()
}

test("it starts small, doubles when it runs empty, and stops at its largest", async () => {
  const { pool } = made({ largest: 6 })
  pool.schedule()
  await settle(pool)
  expect(pool.size).toBe(2)
  for (const size of [4, 6, 6]) {
    for (let left = pool.size; left > 0; left--) pool.take()
    pool.schedule()
    await settle(pool)
    expect(pool.size).toBe(size)
  }
  await pool.close()
})

test("it is not refilled while a launch is under way", async () => {
  const { pool } = made()
  pool.begin("launch")
  pool.schedule()
  await settle(pool)
  expect(pool.size).toBe(0)
  pool.end("launch")
  await settle(pool)
  expect(pool.size).toBe(2)
  await pool.close()
})

test("without demand it shrinks, then lets go of everything; the next launch starts it again", async () => {
  const { pool, dropped } = made({ shrinkAfter: 200, emptyAfter: 1000 })
  pool.schedule()
  await becomes(pool, 2)
  pool.take()
  pool.take()
  pool.schedule()
  await becomes(pool, 4)
  await becomes(pool, 2)
  expect(dropped).toHaveLength(2)
  await becomes(pool, 0)
  expect(dropped).toHaveLength(4)
  pool.begin("a")
  expect(pool.take()).toBeUndefined()
  pool.end("a")
  await settle(pool)
  expect(pool.size).toBe(2)
  await pool.close()
  expect(dropped).toHaveLength(6)
})

test("a failure is told once, and the pool tries again after the next launch", async () => {
  let broken = true
  const { pool, failures } = made({
    create: async () => {
      if (broken) throw new Error("no more links")
      return prepared("n")
    },
  })
  pool.schedule()
  await settle(pool)
  expect(failures.map(String)).toEqual(["Error: no more links"])
  broken = false
  pool.begin("a")
  pool.end("a")
  await settle(pool)
  expect(pool.size).toBe(2)
  await pool.close()
})

test("what is made while it closes is dropped", async () => {
  const { pool, dropped } = made({
    create: async () => {
      await Bun.sleep(20)
      return prepared("late")
    },
  })
  pool.schedule()
  await Bun.sleep(8)
  await pool.close()
  expect(dropped).toEqual(["late"])
  expect(pool.size).toBe(0)
})

test("namespaces that the launcher lost are forgotten", async () => {
  const { pool } = made()
  pool.schedule()
  await settle(pool)
  expect(pool.keepOnly(new Set(["n2"])).map((entry) => entry.held)).toEqual(["n1"])
  expect(pool.size).toBe(1)
  await pool.close()
})

test("one that is not eager is filled once it is used, and only while the engine has room", async () => {
  let room = 1
  const { pool } = made({ eager: false, hasRoom: () => pool.size < room })
  pool.schedule()
  await settle(pool)
  expect(pool.size).toBe(0)
  expect(pool.take()).toBeUndefined()
  pool.schedule()
  await settle(pool)
  expect(pool.size).toBe(1)
  room = 5
  pool.schedule()
  await settle(pool)
  expect(pool.size).toBe(2)
  expect(pool.take(({ held }) => held === "n2")?.held).toBe("n2")
  expect(pool.take(({ held }) => held === "n9")).toBeUndefined()
  expect(pool.empty().map(({ held }) => held)).toEqual(["n1"])
  await pool.close()
})
