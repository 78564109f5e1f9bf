// The local driver: VOLUMES_ROOT/NAME/_data, its options, and its life.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { unixMilliseconds } from "../base/clock.ts"
import { errorMessage, failure } from "../base/errors.ts"
import { isName, newId } from "../base/ids.ts"
import { KeyedMutex } from "../base/keyed-mutex.ts"
import { createLog } from "../base/log.ts"
import type { Events } from "../events/events.ts"
import type { Kernel } from "../kernel/kernel.ts"
import { rootOperation } from "../kernel/mount.ts"
import type { State, VolumeRecord } from "../state/state.ts"
import { deviceMount, validateOptions } from "./options.ts"
import type { Volumes } from "./volumes.ts"

const log = createLog("volumes")

export interface VolumesOptions {
  /** Directory of all volumes. */
  readonly root: string
  readonly kernel: Kernel
  readonly state: State
  readonly events: Events
}

/** "label", "label=value", "label!=…" are the prune filters' `labels`: each "key" or "key=value" must hold; "!…" must not. */
const hasLabels = (record: VolumeRecord, labels: readonly string[]): boolean =>
  labels.every((entry) => {
    const negated = entry.startsWith("!")
    const [key = "", value] = (negated ? entry.slice(1) : entry).split(/=(.*)/s)
    const found = record.labels[key]
    const holds = value === undefined ? found !== undefined : found === value
    return holds !== negated
  })

/** See {@link Volumes}. */
export const openVolumes = ({ root, kernel, state, events }: VolumesOptions): Volumes => {
  const mutex = new KeyedMutex()
  const reap = join(root, ".reap")
  let reaping: Promise<unknown> = Promise.resolve()

  const find = (name: string): VolumeRecord | undefined => state.volumes.find(name)
  const get = (name: string): VolumeRecord => {
    const record = find(name)
    if (record === undefined) throw failure("not-found", `get ${name}: no such volume`)
    return record
  }
  const directory = (name: string): string => join(root, name)
  const path = (name: string): string => join(directory(get(name).name), "_data")
  const publish = (
    action: string,
    name: string,
    attributes: Record<string, string> = { driver: "local" },
  ): void => events.publish({ type: "volume", action, id: name, attributes })

  const reapLater = (tree: string): void => {
    if (!existsSync(tree)) return
    mkdirSync(reap, { recursive: true, mode: 0o700 })
    const grave = join(reap, newId())
    renameSync(tree, grave)
    reaping = reaping
      .then(() => kernel.perform([["remove-tree"], ["path", grave]]))
      .catch((error: unknown) =>
        log.warn("a removed volume's bytes remain", { path: grave, error: errorMessage(error) }),
      )
  }

  const create: Volumes["create"] = async (request) => {
    const driver = request.driver || "local"
    if (driver !== "local") {
      throw failure("not-found", `error looking up volume plugin ${driver}: plugin "${driver}" not found`)
    }
    const name = request.name || newId()
    if (!isName(name)) {
      throw failure(
        "invalid",
        `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      )
    }
    const options = request.options ?? {}
    validateOptions(name, options)
    return mutex.run(name, () => {
      const known = find(name)
      if (known !== undefined) return known
      const record: VolumeRecord = {
        name,
        driver,
        options,
        labels: request.labels ?? {},
        createdAt: unixMilliseconds(),
        anonymous: request.anonymous ?? !request.name,
      }
      // A directory that a crash left without a record is not silently taken over.
      reapLater(directory(name))
      mkdirSync(join(directory(name), "_data"), { recursive: true, mode: 0o755 })
      try {
        // An anonymous volume becomes durable with the container that it is made for.
        state.volumes.put(name, record, { durable: !record.anonymous })
      } catch (error) {
        rmSync(directory(name), { recursive: true, force: true })
        throw error
      }
      publish("create", name)
      return record
    })
  }

  const remove: Volumes["remove"] = (name, { force }, users) =>
    mutex.run(name, () => {
      const record = find(name)
      if (record === undefined) {
        if (force) return
        throw failure("not-found", `get ${name}: no such volume`)
      }
      if (users.length > 0) {
        throw failure("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`)
      }
      // An anonymous one goes with a container, whose removal brings it to the disk or does it again.
      state.volumes.remove(name, { durable: !record.anonymous })
      reapLater(directory(name))
      publish("destroy", name)
    })

  return {
    create,
    get,
    find,
    list: () => state.volumes.list(),
    path,
    remove,
    async prune({ all, labels }, inUse) {
      const removed: string[] = []
      let reclaimed = 0
      for (const record of state.volumes.list()) {
        if ((!all && !record.anonymous) || inUse(record.name) || !hasLabels(record, labels)) continue
        const bytes = await usage(record.name).catch(() => 0)
        // Someone may have taken it meanwhile.
        if (inUse(record.name)) continue
        await remove(record.name, { force: true }, [])
        removed.push(record.name)
        reclaimed += bytes
      }
      events.publish({
        type: "volume",
        action: "prune",
        id: "",
        attributes: { reclaimed: String(reclaimed) },
      })
      return { removed, reclaimed }
    },
    usage,
    populate: (name, rootMount, source) =>
      mutex.run(name, async () => {
        const destination = path(name)
        if (deviceMount(get(name).options, "/") !== undefined || readdirSync(destination).length > 0) return
        try {
          await kernel.perform([
            ["copy"],
            rootOperation(rootMount),
            ["path", source],
            ["destination", destination],
          ])
        } catch (error) {
          // The image need not have the path.
          if (!/no such file|not found|ENOENT/i.test(errorMessage(error))) {
            throw failure(
              "internal",
              `cannot copy ${source} of the image into volume ${name}: ${errorMessage(error)}`,
              {
                cause: error,
              },
            )
          }
        }
      }),
    async mount(name, target, { readOnly, subpath }) {
      const asked = deviceMount(get(name).options, target)
      const access = readOnly ? ["ro"] : []
      if (asked?.type === "filesystem") return { ...asked, flags: [...asked.flags, ...access] }
      if (asked !== undefined && !existsSync(asked.source)) {
        throw failure(
          "invalid",
          `failed to mount local volume: mount ${asked.source}:${path(name)}: no such file or directory`,
        )
      }
      return {
        type: "bind",
        source: path(name),
        target,
        create: "dir",
        ...asked,
        flags: [...(asked?.flags ?? ["rprivate", "rec"]), ...access],
        ...(subpath !== undefined && subpath !== "" && { subpath }),
      }
    },
    async settle() {
      await reaping
    },
    async recover() {
      mkdirSync(root, { recursive: true, mode: 0o710 })
      for (const entry of readdirSync(root)) {
        if (entry === ".reap") {
          for (const grave of readdirSync(reap))
            await kernel.perform([["remove-tree"], ["path", join(reap, grave)]])
        } else if (find(entry) === undefined) reapLater(directory(entry))
      }
      for (const record of state.volumes.list()) {
        mkdirSync(join(directory(record.name), "_data"), { recursive: true, mode: 0o755 })
      }
    },
  }

  async function usage(name: string): Promise<number> {
    const answer = await kernel.perform([["usage"], ["path", path(name)]])
    return Number(answer.get("content")?.[0] ?? 0)
  }
}
