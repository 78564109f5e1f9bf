// A kernel without a machine, for other rooms' unit tests: it records plans and gives scripted answers.
import { PassThrough } from "node:stream"
import { failure } from "../base/errors.ts"
import type { Answer, ExitRecord, Kernel, KernelFeatures, Monitor, MonitoredProcess, Plan } from "./kernel.ts"

/** What a fake launch or exec does; the test ends it when it likes. */
export interface FakeProcess extends MonitoredProcess {
  readonly id: string
  readonly operations: Plan
  readonly signals: number[]
  readonly sizes: (readonly [rows: number, columns: number])[]
  /** Ends the process; later signals fail as conflict. */
  end(record?: Partial<ExitRecord>): void
}

export interface FakeMonitor extends FakeProcess, Monitor {
  readonly socket: string
  readonly execs: FakeProcess[]
}

export interface FakeKernel extends Kernel {
  /** Every plan that was performed, in order; launches and execs with their verb in front. */
  readonly plans: Plan[]
  /** Bytes that `send` was given, by the index of its plan. */
  readonly sent: Map<number, Buffer>
  /** Monitors that live, by socket. */
  readonly monitors: Map<string, FakeMonitor>
}

export interface FakeScript {
  readonly features?: Partial<KernelFeatures>
  /** The answer to a plan; throwing fails it. Without one every plan is answered with an empty `ok`. */
  readonly perform?: (plan: Plan) => Answer | undefined
  /** The bytes that `receive` yields. */
  readonly receive?: (plan: Plan) => readonly Uint8Array[]
  /** Called for each launch and exec before it succeeds; throwing fails it. */
  readonly start?: (plan: Plan) => void
}

const defaultFeatures: KernelFeatures = {
  kernelVersion: "6.18.0",
  cgroupMode: "v2",
  cgroupV1: new Map(),
  cgroupV2: "/sys/fs/cgroup",
  capabilities: (1n << 41n) - 1n,
  raw: new Map(),
}

function fakeProcess(id: string, pid: number, operations: Plan, ended: () => void): FakeProcess {
  const { promise, resolve } = Promise.withResolvers<ExitRecord>()
  const signals: number[] = []
  const sizes: (readonly [number, number])[] = []
  let running = true
  return {
    id,
    pid,
    operations,
    signals,
    sizes,
    exited: promise,
    attach: async () => new PassThrough(),
    signal: async (number) => {
      if (!running) throw failure("conflict", "The process has ended")
      signals.push(number)
    },
    resize: async (rows, columns) => {
      sizes.push([rows, columns])
    },
    end: (record) => {
      running = false
      ended()
      resolve({ code: 0, signal: 0, oom: false, finishedAt: Date.now(), reason: "", ...record })
    },
  }
}

/** A fake kernel; see {@link FakeScript} for what can be scripted. */
export function fakeKernel(script: FakeScript = {}): FakeKernel {
  const plans: Plan[] = []
  const sent = new Map<number, Buffer>()
  const monitors = new Map<string, FakeMonitor>()
  let nextPid = 1000

  const record = (plan: Plan): Answer => {
    plans.push(plan)
    return script.perform?.(plan) ?? new Map()
  }
  const begin = (plan: Plan): number => {
    plans.push(plan)
    script.start?.(plan)
    nextPid += 1
    return nextPid
  }

  return {
    plans,
    sent,
    monitors,
    features: async () => ({ ...defaultFeatures, ...script.features }),
    perform: async (plan) => record(plan),
    send: async (plan, bytes) => {
      const index = plans.length
      const chunks: Uint8Array[] = []
      for await (const chunk of bytes) chunks.push(chunk)
      sent.set(index, Buffer.concat(chunks))
      return record(plan)
    },
    async *receive(plan) {
      record(plan)
      yield* script.receive?.(plan) ?? []
    },
    launch: async (id, operations, socket, options) => {
      const pid = begin([["launch", id], ...operations])
      options?.sent?.()
      const execs: FakeProcess[] = []
      const init = fakeProcess(id, pid, operations, () => monitors.delete(socket))
      const monitor: FakeMonitor = {
        ...init,
        cleared: init.exited.then(() => {}),
        socket,
        execs,
        exec: async (execId, execOperations, attach) => {
          const process = fakeProcess(
            execId,
            begin([["exec", execId], ...execOperations]),
            execOperations,
            () => {},
          )
          execs.push(process)
          return attach === undefined ? process : { ...process, stream: new PassThrough() }
        },
        relayNames: async () => {},
        findExec: async (execId) => execs.find((exec) => exec.id === execId),
        onOom: () => {},
        expectExec: () => {},
        release: () => {},
      }
      monitors.set(socket, monitor)
      return monitor
    },
    rejoin: async (socket) => monitors.get(socket),
    close: async () => {},
  }
}
