// An engine without a kernel: enough state and streams to drive every route of the API.
import { PassThrough } from "node:stream"
import { failure } from "../../src/base/errors.ts"
import { newId } from "../../src/base/ids.ts"
import type { CreateConfig, Engine, ExecRecord } from "../../src/engine/engine.ts"
import { createEvents } from "../../src/events/events.ts"
import type { Image } from "../../src/images/images.ts"
import { openRegistries } from "../../src/registry-client/registry-client.ts"
import { busyboxConfig } from "../../src/runtime/testing/fixtures.ts"
import type { ContainerRecord, NetworkRecord, VolumeRecord } from "../../src/state/state.ts"

const IMAGE_ID = `sha256:${"ab".repeat(32)}`

export const busybox: Image = {
  id: IMAGE_ID,
  manifestDigest: "",
  createdAt: 1_700_000_000_000,
  size: 1_234_567,
  chainId: `sha256:${"cd".repeat(32)}`,
  layers: [{ diffId: `sha256:${"ef".repeat(32)}`, blob: `sha256:${"01".repeat(32)}`, size: 1_234_567 }],
  addedAt: 1_700_000_001_000,
  parent: "",
  tags: ["busybox:latest", "localhost:5000/team/busybox:1"],
  digests: [],
  architecture: "amd64",
  variant: "",
  os: "linux",
  author: "",
  comment: "",
  created: 1_700_000_000_000,
  config: {
    user: "",
    exposedPorts: [],
    env: ["PATH=/bin"],
    command: ["sh"],
    volumes: [],
    workingDirectory: "",
    labels: { a: "1" },
  },
  diffIds: [`sha256:${"ef".repeat(32)}`],
  history: [
    { created: 1_700_000_000_000, createdBy: "ADD rootfs", comment: "", author: "", emptyLayer: false },
    { created: 1_700_000_000_000, createdBy: 'CMD ["sh"]', comment: "", author: "", emptyLayer: true },
  ],
  document: {},
}

const bridge: NetworkRecord = {
  id: "12".repeat(32),
  name: "bridge",
  driver: "bridge",
  createdAt: 1_700_000_000_000,
  internal: false,
  attachable: false,
  ipv6: false,
  options: {},
  labels: {},
  subnets: [{ subnet: "172.17.0.0/16", gateway: "172.17.0.1" }],
}

function record(id: string, name: string, config: CreateConfig): ContainerRecord {
  const command = config.command ?? ["sh"]
  return {
    id,
    name,
    createdAt: 1_700_000_000_123.5,
    imageId: IMAGE_ID,
    path: command[0] ?? "",
    args: command.slice(1),
    config: busyboxConfig({
      hostname: id.slice(0, 12),
      attachStdout: false,
      shmSize: 67_108_864,
      networkMode: "default",
      ipcMode: "private",
      cgroupnsMode: "private",
      ...config,
      command,
    }),
    snapshot: id,
    mountPoints: [],
    status: "created",
    pid: 0,
    exitCode: 0,
    oomKilled: false,
    error: "",
    startedAt: 0,
    finishedAt: 0,
    restartCount: 0,
    stoppedByUser: false,
    endpoints: [],
    publishedPorts: [],
  }
}

export interface FakeEngine extends Engine {
  /** What create was asked last. */
  lastCreate(): CreateConfig | undefined
  /** Streams that are attached now. */
  attached: Set<PassThrough>
}

/** Containers echo their stdin, exit when it ends, and log one line on each stream. */
export function createFakeEngine(): FakeEngine {
  const containers = new Map<string, ContainerRecord>()
  const execs = new Map<string, ExecRecord>()
  const volumes = new Map<string, VolumeRecord>()
  const attached = new Set<PassThrough>()
  const ended = new Map<string, (exit: { exitCode: number }) => void>()
  const events = createEvents()
  let last: CreateConfig | undefined

  const find = (reference: string) =>
    [...containers.values()].find(
      ({ id, name }) =>
        id === reference || name === reference || (reference !== "" && id.startsWith(reference)),
    )
  const get = (reference: string) => {
    const found = find(reference)
    if (found === undefined) throw failure("not-found", `No such container: ${reference}`)
    return found
  }
  const change = (reference: string, changes: Partial<ContainerRecord>) => {
    const found = get(reference)
    containers.set(found.id, { ...found, ...changes })
  }
  const openStream = () => {
    const stream = new PassThrough({ highWaterMark: 1024 * 1024 })
    attached.add(stream)
    stream.once("close", () => attached.delete(stream))
    return stream
  }
  const getImage = (reference: string) => {
    const id = reference.startsWith("sha256:") ? reference : `sha256:${reference}`
    const named = busybox.tags.some((tag) => tag === reference || tag === `${reference}:latest`)
    if (named || (reference.length > 5 && IMAGE_ID.startsWith(id))) return busybox
    throw failure("not-found", `No such image: ${reference}`)
  }
  const notHere = (what: string) => failure("not-implemented", `the fake engine has no ${what}`)
  async function* bytes(text: string): AsyncIterable<Uint8Array> {
    yield Buffer.from(text)
  }

  return {
    attached,
    lastCreate: () => last,
    containers: {
      async create({ name, config }) {
        last = config
        getImageOr404(config.image)
        if (name !== undefined && find(name)) {
          throw failure("conflict", `Conflict. The container name "/${name}" is already in use`)
        }
        const id = newId()
        containers.set(id, record(id, name ?? `c${containers.size}`, config))
        events.publish({
          type: "container",
          action: "create",
          id,
          attributes: { image: config.image, name: name ?? "" },
        })
        return { id, warnings: [] }
      },
      get,
      find,
      list: async ({ all }) => [...containers.values()].filter(({ status }) => all || status === "running"),
      sizes: async () => ({ writable: 10, root: 1_234_577 }),
      async start(reference) {
        if (get(reference).status === "running") throw failure("not-modified", "already running")
        change(reference, { status: "running", pid: 4242, startedAt: Date.now() })
      },
      async stop(reference) {
        const { id, status } = get(reference)
        if (status !== "running") throw failure("not-modified", "not running")
        change(reference, { status: "exited", pid: 0, finishedAt: Date.now() })
        ended.get(id)?.({ exitCode: 0 })
      },
      restart: async (reference) => change(reference, { status: "running", pid: 4243 }),
      kill: async (reference) => change(reference, { status: "exited", exitCode: 137 }),
      pause: async (reference) => change(reference, { status: "paused" }),
      unpause: async (reference) => change(reference, { status: "running" }),
      rename: async (reference, name) => change(reference, { name }),
      resize: async (reference) => void get(reference),
      wait(reference) {
        const { id } = get(reference)
        return { ended: new Promise((resolve) => ended.set(id, resolve)), cancel: () => ended.delete(id) }
      },
      async attach(reference) {
        const { config } = get(reference)
        return { tty: config.tty, stream: openStream() }
      },
      async *logs(reference, { stdout, stderr, tail }) {
        get(reference)
        const time = "2026-01-02T03:04:05.000000006Z"
        const timeNano = 1_767_323_045_000_000_006n
        if (stdout) yield [{ stream: "stdout", time, timeNano, line: Buffer.from("out\n") }]
        if (stderr && tail !== 1) yield [{ stream: "stderr", time, timeNano, line: Buffer.from("err\n") }]
      },
      top: async () => ({ titles: ["PID", "CMD"], processes: [["1", "sh"]] }),
      async stats() {
        return {
          readAt: Date.now(),
          cpuTotal: 1000.4,
          cpuUser: 500,
          cpuSystem: 500,
          cpuPerCore: [],
          cpuPeriods: 0,
          cpuThrottledPeriods: 0,
          cpuThrottledTime: 0,
          hostCpuTotal: 100_000,
          onlineCpus: 2,
          memoryUsage: 4096,
          memoryMaxUsage: 8192,
          memoryLimit: 1 << 30,
          memoryFailures: 0,
          memoryDetail: { total_inactive_file: 0 },
          pids: 1,
          pidsLimit: 0,
          blockIo: [],
          networks: [],
        }
      },
      changes: async () => [{ kind: 1, path: "/new" }],
      async archiveStat(reference, path) {
        get(reference)
        return {
          name: path.slice(1),
          size: 3,
          mode: 0o100644,
          mtime: 1_700_000_000_000_000_001n,
          linkTarget: "",
        }
      },
      async archiveGet(reference, path) {
        get(reference)
        return {
          stat: { name: path, size: 3, mode: 0o040755, mtime: 0n, linkTarget: "" },
          tar: bytes("tar"),
        }
      },
      async archivePut(reference, _path, tar) {
        get(reference)
        for await (const chunk of tar) void chunk
      },
      export: () => bytes("root"),
      update: async () => [],
      connect: async (reference) => void get(reference),
      disconnect: async (reference) => void get(reference),
      changePorts: async (reference) => get(reference),
      remove: async (reference) => void containers.delete(get(reference).id),
      prune: async () => ({ removed: [], reclaimed: 0 }),
      commit: async () => IMAGE_ID,
    },
    execs: {
      async create(container, config) {
        const { id: containerId } = get(container)
        const id = newId()
        execs.set(id, { ...config, id, containerId, running: false, pid: 0 })
        return id
      },
      async start(id, { detach }) {
        const exec = execs.get(id)
        if (exec === undefined) throw failure("not-found", `No such exec instance: ${id}`)
        if (exec.command[0] === "missing") {
          execs.set(id, { ...exec, exitCode: 127 })
          throw failure("invalid", 'exec: "missing": executable file not found in $PATH')
        }
        execs.set(id, { ...exec, exitCode: 0 })
        if (detach) return undefined
        const stream = openStream()
        if (!exec.attachStdin) stream.end(Buffer.from("\x01\0\0\0\0\0\0\x03ran", "latin1"))
        return { tty: exec.tty, stream }
      },
      get(id) {
        const exec = execs.get(id)
        if (exec === undefined) throw failure("not-found", `No such exec instance: ${id}`)
        return exec
      },
      resize: async () => {},
    },
    images: {
      get: async (reference) => getImage(reference),
      find: async (reference) => {
        try {
          return getImage(reference)
        } catch {
          return undefined
        }
      },
      list: async () => [busybox],
      async load(tar, report) {
        let size = 0
        for await (const chunk of tar) size += chunk.length
        if (size === 0) throw failure("invalid", "the archive is empty")
        report({ id: "abc", status: "Loading layer", current: size, total: size })
        return ["busybox:latest"]
      },
      async pull({ reference }, report) {
        if (reference.startsWith("absent")) throw failure("not-found", `manifest for ${reference} not found`)
        report({ id: "latest", status: "Pulling from library/busybox" })
        report({ id: "abc", status: "Downloading", current: 1, total: 2, layer: true })
        report({ id: "abc", status: "Pull complete", layer: true })
        return [IMAGE_ID]
      },
      async push({ reference }, report) {
        report({ status: `The push refers to repository [${reference}]` })
        report({ status: "", stored: { tag: "latest", digest: IMAGE_ID, size: 5 } })
        return [IMAGE_ID]
      },
      registries: openRegistries({ mirrors: [], insecure: [], certificates: [], agent: "test" }),
      save: () => bytes("saved"),
      async import(tar) {
        for await (const chunk of tar) void chunk
        return IMAGE_ID
      },
      tag: async (source) => void getImage(source),
      remove: async () => [],
      prune: async () => ({ removed: [], reclaimed: 0 }),
      commit: async () => IMAGE_ID,
      view: () => ({ type: "directory", path: "/nonexistent" }),
      trim: async () => ({ removed: [], stored: 0 }),
      squash: async () => IMAGE_ID,
      compare: async () => [{ kind: "added", path: "/new" }],
      published: () => {
        throw notHere("a registry")
      },
      sharing: {
        during: (work) => work(),
        released: () => {},
        hold: () => ({ suspect: () => {}, keep: () => {}, release: () => {} }),
        stored: async () => 0,
        unneeded: () => [],
      },
      register: async () => IMAGE_ID,
      recover: async () => {},
    },
    volumes: {
      async create({ name = newId(), driver = "local", options = {}, labels = {} }) {
        const volume = { name, driver, options, labels, createdAt: 1_700_000_000_000, anonymous: false }
        volumes.set(name, volume)
        return volume
      },
      get(name) {
        const volume = volumes.get(name)
        if (volume === undefined) throw failure("not-found", `get ${name}: no such volume`)
        return volume
      },
      find: (name) => volumes.get(name),
      list: () => [...volumes.values()],
      path: (name) => `/var/lib/sloop/volumes/${name}/_data`,
      remove: async () => {},
      prune: async () => ({ removed: [], reclaimed: 0 }),
      usage: async () => 42,
      populate: async () => {},
      mount: async () => {
        throw notHere("mounts")
      },
      recover: async () => {},
      settle: async () => {},
    },
    networks: {
      open: async () => {},
      create: async () => {
        throw notHere("networks")
      },
      remove: async () => {
        throw notHere("networks")
      },
      connect: async () => {
        throw notHere("networks")
      },
      disconnect: async () => {
        throw notHere("networks")
      },
      changePorts: async () => {
        throw notHere("networks")
      },
      rename: async () => {
        throw notHere("networks")
      },
      join: async () => {
        throw notHere("networks")
      },
      joined: () => {},
      ended: () => {},
      leave: async () => {},
      get(reference) {
        if (reference === "bridge" || bridge.id.startsWith(reference)) return bridge
        throw failure("not-found", `network ${reference} not found`)
      },
      find: (reference) => (reference === "bridge" ? bridge : undefined),
      list: () => [bridge],
      statistics: async () => [],
      close: async () => {},
    },
    events,
    diskUse: async () => ({
      layers: new Map([["sha256:one", 1_234_567]]),
      content: 4096,
      containers: new Map(),
      volumes: new Map(),
      own: new Map([["database", 8192]]),
      total: 1_246_855,
    }),
    describe: () => ({
      id: "engine-id",
      name: "host",
      dataRoot: "/var/lib/sloop",
      runRoot: "/run/sloop",
      snapshotter: "overlay",
      cgroupMode: "hybrid",
      kernelVersion: "6.18.0",
      logDriver: "json-file",
      warnings: [],
    }),
    removeImage: async (reference) => [{ untagged: getImage(reference).tags[0] }, { deleted: IMAGE_ID }],
    pruneImages: async () => ({ removed: [], reclaimed: 0 }),
    removeVolume: async (name) => void volumes.delete(name),
    pruneVolumes: async () => ({ removed: [], reclaimed: 0 }),
    async createNetwork({ name }) {
      if (name === "bridge")
        throw failure("forbidden", "operation is not permitted on predefined bridge network")
      return { network: { ...bridge, id: newId(), name }, warning: "" }
    },
    async removeNetwork(reference) {
      if (reference === "bridge")
        throw failure("forbidden", "bridge is a pre-defined network and cannot be removed")
      throw failure("not-found", `network ${reference} not found`)
    },
    pruneNetworks: async () => [],
    volumeUsers: () => [],
    recover: async () => {},
    close: async () => {},
  }

  function getImageOr404(reference: string): void {
    getImage(reference)
  }
}
