// Chooses between the command line and the daemon; each is loaded only when it is the one.
import { VERSION } from "./base/version.ts"

const [verb] = process.argv.slice(2)
if (verb === "--version" || verb === "-v") {
  console.log(`Sloop version ${VERSION}`) // the runtime's process.stdout takes as long to load as all the rest
} else if (verb === "daemon") {
  Bun.unsafe.setJITPolicy(1) // the executable starts as a command does, reluctant to compile (scripts/build.mjs)
  const { runDaemon } = await import("./daemon/daemon.ts")
  await runDaemon(process.argv.slice(3))
} else {
  const { runCli } = await import("./cli/cli.ts")
  // exitCode, not exit(): exit() would cut a piped standard output short.
  process.exitCode = await runCli(process.argv.slice(2))
}
