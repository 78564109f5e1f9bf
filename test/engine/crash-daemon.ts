// A daemon that is to be killed: opens the engine over ROOT and does one SCENARIO; SLOOP_CRASH_AT says where it dies.
import { busybox, openGround, run } from "./ground.ts"

const [root = "", scenario = ""] = process.argv.slice(2)
const { engine } = await openGround(root)
const { containers, execs } = engine
const sleeper = busybox(["sleep", "1000"], { networkMode: "default", volumes: ["/data"] })

const started = async (): Promise<string> => {
  const { id } = await containers.create({ name: "victim", config: sleeper })
  await containers.start(id)
  return id
}

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  create: () => containers.create({ name: "victim", config: sleeper }),
  start: started,
  exit: () => run(engine, { ...sleeper, command: ["sh", "-c", "exit 5"] }),
  "auto-remove": () => run(engine, { ...sleeper, command: ["true"], autoRemove: true }),
  async exec() {
    const id = await execs.create(await started(), {
      command: ["sleep", "1000"],
      env: [],
      user: "",
      workingDirectory: "",
      tty: false,
      privileged: false,
      attachStdin: false,
      attachStdout: false,
      attachStderr: false,
    })
    await execs.start(id, { detach: true, tty: false })
  },
  async stop() {
    await containers.stop(await started(), { timeout: 0 })
  },
  async remove() {
    await containers.remove(await started(), { force: true, volumes: true })
  },
}

await scenarios[scenario]?.()
// The crash point may lie in what follows in the background.
await Bun.sleep(2000)
process.stdout.write("survived\n")
process.exitCode = 1
