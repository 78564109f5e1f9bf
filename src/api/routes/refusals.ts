// What this engine does not do: each answers as clients expect of an engine without it.
import { failure } from "../../base/errors.ts"
import type { Method, Route } from "../route.ts"

/** Swarm, plugins, builds and sessions. */
export function refusalRoutes(): Route[] {
  return [...swarmRoutes(), ...pluginRoutes(), ...buildRoutes()]
}

function swarmRoutes(): Route[] {
  const noManager = () => {
    throw failure(
      "unavailable",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    )
  }
  const noSwarm = () => {
    throw failure("not-implemented", "this engine has no swarm mode")
  }
  const refuse = (method: Method, path: string, summary: string, run: () => void = noManager): Route => ({
    method,
    path,
    summary,
    support: "refused",
    run,
  })
  const nouns = ["nodes", "services", "tasks", "secrets", "configs"] as const
  return [
    refuse("GET", "/swarm", "Inspect the swarm"),
    refuse("POST", "/swarm/init", "Start a swarm", noSwarm),
    refuse("POST", "/swarm/join", "Join a swarm", noSwarm),
    refuse("POST", "/swarm/update", "Update the swarm"),
    refuse("GET", "/swarm/unlockkey", "Read the unlock key"),
    refuse("POST", "/swarm/unlock", "Unlock the swarm"),
    refuse("POST", "/swarm/leave", "Leave the swarm", () => {
      throw failure("unavailable", "This node is not part of a swarm")
    }),
    ...nouns.flatMap((noun) => [
      refuse("GET", `/${noun}`, `List ${noun}`),
      refuse("GET", `/${noun}/:id`, `Inspect one of the ${noun}`),
      ...(noun === "tasks"
        ? [refuse("GET", "/tasks/:id/logs", "Read a task's log")]
        : [
            refuse("DELETE", `/${noun}/:id`, `Remove one of the ${noun}`),
            refuse("POST", `/${noun}/:id/update`, `Update one of the ${noun}`),
          ]),
    ]),
    ...["services", "secrets", "configs"].map((noun) =>
      refuse("POST", `/${noun}/create`, `Create one of the ${noun}`),
    ),
    refuse("GET", "/services/:id/logs", "Read a service's log"),
  ]
}

function pluginRoutes(): Route[] {
  const noPlugins = () => {
    throw failure("not-implemented", "this engine takes no plugins")
  }
  return [
    {
      method: "GET",
      path: "/plugins",
      summary: "List plugins (there are none)",
      support: "yes",
      run: (call) => call.json([]),
    },
    {
      method: "GET",
      path: "/plugins/:name+/json",
      summary: "Inspect a plugin",
      support: "refused",
      run: (call) => {
        throw failure("not-found", `plugin ${JSON.stringify(call.param("name"))} not found`)
      },
    },
    {
      method: "GET",
      path: "/plugins/privileges",
      summary: "What a plugin may do",
      support: "refused",
      run: noPlugins,
    },
    {
      method: "POST",
      path: "/plugins/pull",
      summary: "Install a plugin",
      support: "refused",
      run: noPlugins,
    },
    {
      method: "POST",
      path: "/plugins/create",
      summary: "Create a plugin",
      support: "refused",
      run: noPlugins,
    },
  ]
}

function buildRoutes(): Route[] {
  const refuse = (method: Method, path: string, summary: string, message: string): Route => ({
    method,
    path,
    summary,
    support: "refused",
    run: () => {
      throw failure("not-implemented", message)
    },
  })
  return [
    refuse("POST", "/build", "Build an image", "this engine does not build images yet"),
    {
      method: "POST",
      path: "/build/prune",
      summary: "Empty the build cache (there is none)",
      support: "partly",
      run: (call) => call.json({ CachesDeleted: null, SpaceReclaimed: 0 }),
    },
    refuse("POST", "/build/cancel", "Cancel a build", "this engine does not build images yet"),
    refuse("POST", "/session", "Open a build session", "this engine does not build images yet"),
    refuse("POST", "/grpc", "Talk to the builder", "this engine does not build images yet"),
  ]
}
