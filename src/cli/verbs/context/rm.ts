// sloop context rm
import { failure } from "../../../base/errors.ts"
import { configDirectoryOf, currentContext } from "../../contexts/choose.ts"
import { findContext, removeContext } from "../../contexts/store.ts"
import { keepSetting } from "../../credentials.ts"
import { forEach } from "../../each.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "CONTEXT [CONTEXT...]",
  summary: "Remove one or more contexts",
  flags: [{ name: "force", short: "f", kind: "bool", summary: "Force the removal of a context in use" }],
  interspersed: true,
  least: 1,
  most: Number.POSITIVE_INFINITY,
  run(context, parsed) {
    const config = configDirectoryOf(context.env)
    const force = parsed.bool("force")
    return forEach(context, parsed.arguments, async (name) => {
      if (name === "default") throw failure("invalid", 'context "default" cannot be removed')
      const kept = (await currentContext(config)) === name
      if (!force && (kept || context.contextName === name))
        throw failure("conflict", `context "${name}" is in use, set -f flag to force remove`)
      if (!force && !findContext(config, name)) throw failure("not-found", `context "${name}" does not exist`)
      removeContext(config, name)
      if (kept) keepSetting(context.env, "currentContext", undefined)
    })
  },
}
