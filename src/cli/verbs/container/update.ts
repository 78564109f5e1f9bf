// sloop update
import { failure } from "../../../base/errors.ts"
import { createFlags } from "../../container/flags.ts"
import { readPublished } from "../../container/ports.ts"
import { readResources, readRestartPolicy } from "../../container/request.ts"
import { forEach } from "../../each.ts"
import type { Flag, Parsed } from "../../flags.ts"
import type { Verb } from "../../verb.ts"

const names = [
  "blkio-weight",
  "cpu-period",
  "cpu-quota",
  "cpu-rt-period",
  "cpu-rt-runtime",
  "cpu-shares",
  "cpus",
  "cpuset-cpus",
  "cpuset-mems",
  "memory",
  "memory-reservation",
  "memory-swap",
  "pids-limit",
  "restart",
  "kernel-memory",
]

/** This engine's own: ports of a living container. */
const portFlags: readonly Flag[] = [
  { name: "publish-add", kind: "list", value: "list", summary: "Publish a further port" },
  { name: "publish-rm", kind: "list", value: "list", summary: "Take a published port back" },
]

const readPorts = (parsed: Parsed) =>
  portFlags.some(({ name }) => parsed.given(name))
    ? {
        PublishedPorts: {
          Add: readPublished(parsed.list("publish-add")).bindings,
          Remove: readPublished(parsed.list("publish-rm")).bindings,
        },
      }
    : {}

export const verb: Verb = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Update configuration of one or more containers",
  // The flags of create that change something living; none has a default here, so that only what is given is sent.
  flags: [
    ...createFlags.map((flag) => ({
      ...flag,
      default: undefined,
      hidden: flag.hidden || !names.includes(flag.name),
    })),
    ...portFlags,
  ],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run(context, parsed) {
    if (![...createFlags, ...portFlags].some(({ name }) => parsed.given(name)))
      throw failure("invalid", "you must provide one or more flags when using this command")
    const restart = parsed.string("restart")
    const body = {
      ...readResources(parsed),
      ...readPorts(parsed),
      ...(restart === undefined ? {} : { RestartPolicy: readRestartPolicy(restart) }),
    }
    return forEach(context, parsed.arguments, async (name) => {
      const { Warnings } = await context.client.json<{ Warnings: string[] | null }>(
        "POST",
        `/containers/${encodeURIComponent(name)}/update`,
        { body },
      )
      for (const warning of Warnings ?? []) context.warn(warning)
    })
  },
}
