// sloop context use, sloop context show
import { configDirectoryOf } from "../../contexts/choose.ts"
import { getContext } from "../../contexts/store.ts"
import { keepSetting } from "../../credentials.ts"
import type { Verb } from "../../verb.ts"

export const use: Verb = {
  usage: "CONTEXT",
  summary: "Set the current docker context",
  flags: [],
  interspersed: true,
  least: 1,
  most: 1,
  async run(context, parsed) {
    const [name = ""] = parsed.arguments
    if (name !== "default") getContext(configDirectoryOf(context.env), name)
    keepSetting(context.env, "currentContext", name === "default" ? undefined : name)
    context.print(name)
    context.warn(`Current context is now "${name}"`)
    const variable = context.env.SLOOP_HOST
      ? "SLOOP_HOST"
      : context.env.DOCKER_HOST
        ? "DOCKER_HOST"
        : undefined
    if (variable && name !== "default")
      context.warn(
        `Warning: ${variable} environment variable overrides the active context. To use "${name}", either set the global --context flag, or unset ${variable} environment variable.`,
      )
    return 0
  },
}

export const show: Verb = {
  usage: "",
  summary: "Print the name of the current context",
  flags: [],
  interspersed: true,
  least: 0,
  most: 0,
  async run(context) {
    context.print(context.contextName)
    return 0
  },
}
