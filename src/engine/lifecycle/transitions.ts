// Which verb is legal in which state, and what Docker says when it is not. Pure.
import { type Failure, failure } from "../../base/errors.ts"
import type { Status } from "../../state/state.ts"

export type Verb = "start" | "stop" | "kill" | "pause" | "unpause" | "exec" | "remove" | "attach" | "resize"

type Refusal = readonly [kind: "conflict" | "not-modified", text: (id: string, name: string) => string]

const notRunning: Refusal = ["conflict", (id) => `container ${id} is not running`]
const isRestarting: Refusal = [
  "conflict",
  (id) => `Container ${id} is restarting, wait until the container is running`,
]
const markedForRemoval: Refusal = ["conflict", () => "container is marked for removal and cannot be started"]
const mustStopFirst =
  (state: string) =>
  (_id: string, name: string): string =>
    `cannot remove container "/${name}": container is ${state}: stop the container before removing or force remove`
const killRefusal: Refusal = [
  "conflict",
  (id, name) => `cannot kill container: ${name}: container ${id} is not running`,
]
const alreadyRemoving: Refusal = [
  "conflict",
  (_id, name) => `removal of container ${name} is already in progress`,
]

/** Absent = legal. */
const refusals: Readonly<Record<Verb, Partial<Record<Status, Refusal>>>> = {
  start: {
    running: ["not-modified", (id) => `container ${id} is already running`],
    restarting: ["not-modified", (id) => `container ${id} is already running`],
    paused: ["conflict", () => "cannot start a paused container, try unpause instead"],
    removing: markedForRemoval,
    dead: markedForRemoval,
  },
  stop: {
    created: ["not-modified", (id) => `container ${id} is not running`],
    exited: ["not-modified", (id) => `container ${id} is not running`],
    removing: ["not-modified", (id) => `container ${id} is not running`],
    dead: ["not-modified", (id) => `container ${id} is not running`],
  },
  kill: { created: killRefusal, exited: killRefusal, removing: killRefusal, dead: killRefusal },
  pause: {
    created: notRunning,
    exited: notRunning,
    removing: notRunning,
    dead: notRunning,
    restarting: isRestarting,
    paused: ["conflict", (id) => `container ${id} is already paused`],
  },
  unpause: {
    created: notRunning,
    exited: notRunning,
    removing: notRunning,
    dead: notRunning,
    restarting: ["conflict", (id) => `container ${id} is not paused`],
    running: ["conflict", (id) => `container ${id} is not paused`],
  },
  exec: {
    created: notRunning,
    exited: notRunning,
    removing: notRunning,
    dead: notRunning,
    restarting: isRestarting,
    paused: ["conflict", (id) => `container ${id} is paused, unpause the container before exec`],
  },
  remove: {
    running: ["conflict", mustStopFirst("running")],
    restarting: ["conflict", mustStopFirst("restarting")],
    paused: [
      "conflict",
      (_id, name) => `cannot remove container "/${name}": container is paused and must be unpaused first`,
    ],
    removing: alreadyRemoving,
  },
  attach: {
    paused: ["conflict", (id) => `container ${id} is paused, unpause the container before attach`],
    restarting: ["conflict", (id) => `container ${id} is restarting, wait until the container is running`],
    removing: ["conflict", (id) => `container ${id} is marked for removal`],
  },
  resize: {
    created: notRunning,
    exited: notRunning,
    removing: notRunning,
    dead: notRunning,
    restarting: isRestarting,
  },
}

/** Why the verb is refused in that state; undefined when it is legal. `id` and `name` are the container's. */
export const refusal = (
  verb: Verb,
  container: { status: Status; id: string; name: string },
): Failure | undefined => {
  const found = refusals[verb][container.status]
  return found === undefined ? undefined : failure(found[0], found[1](container.id, container.name))
}

/** Throws what {@link refusal} gives. */
export const permit = (verb: Verb, container: { status: Status; id: string; name: string }): void => {
  const refused = refusal(verb, container)
  if (refused !== undefined) throw refused
}

/** States in which the container counts as running for waits, lists and removal (Docker's State.Running). */
export const isActive = (status: Status): boolean =>
  status === "running" || status === "paused" || status === "restarting"
