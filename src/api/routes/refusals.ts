// What this engine does not do: each answers as clients expect of an engine without it.
import { failure } from "../../base/errors.ts"
import type { Method, Route } from "../route.ts"

const PLUGIN_FILTERS: ReadonlySet<string> = new Set(["enabled", "capability"])

/** Swarm, plugins and checkpoints. */
export function refusalRoutes(): Route[] {
  return [...swarmRoutes(), ...pluginRoutes(), ...checkpointRoutes()]
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
  const refuse = (method: Method, path: string, summary: string, run: Route["run"]): Route => ({
    method,
    path,
    summary,
    support: "refused",
    run,
  })
  const noPlugins = () => {
    throw failure(
      "not-implemented",
      "this engine takes no plugins: drivers for networks, volumes and logs are built in",
    )
  }
  const unknown: Route["run"] = (call) => {
    throw failure("not-found", `plugin ${JSON.stringify(call.param("name"))} not found`)
  }
  return [
    {
      method: "GET",
      path: "/plugins",
      summary: "List plugins (there are none)",
      support: "yes",
      run(call) {
        call.query.filters(PLUGIN_FILTERS)
        call.json([])
      },
    },
    refuse("GET", "/plugins/privileges", "What a plugin may do", noPlugins),
    refuse("POST", "/plugins/pull", "Install a plugin", noPlugins),
    refuse("POST", "/plugins/create", "Create a plugin", noPlugins),
    refuse("GET", "/plugins/:name+/json", "Inspect a plugin", unknown),
    refuse("DELETE", "/plugins/:name+", "Remove a plugin", unknown),
    refuse("POST", "/plugins/:name+/enable", "Enable a plugin", unknown),
    refuse("POST", "/plugins/:name+/disable", "Disable a plugin", unknown),
    refuse("POST", "/plugins/:name+/upgrade", "Upgrade a plugin", unknown),
    refuse("POST", "/plugins/:name+/push", "Push a plugin", unknown),
    refuse("POST", "/plugins/:name+/set", "Configure a plugin", unknown),
  ]
}

/** Stopped processes that go on later would need a program that no part of this engine is. */
function checkpointRoutes(): Route[] {
  const path = "/containers/:id/checkpoints"
  const refuse = (method: Method, path: string, summary: string): Route => ({
    method,
    path,
    summary,
    support: "refused",
    run: () => {
      throw failure(
        "not-implemented",
        "this engine makes no checkpoints of containers: pause and unpause keep one in memory",
      )
    },
  })
  return [
    refuse("GET", path, "List checkpoints"),
    refuse("POST", path, "Create a checkpoint"),
    refuse("DELETE", `${path}/:checkpoint`, "Remove a checkpoint"),
  ]
}
