// Watches what happens to containers until one has ended, then stops watching.
//   node examples/watch-events.mjs [IMAGE]
import { connect } from "sloop"

const image = process.argv[2] ?? "busybox"
const engine = await connect()
const stop = new AbortController()
const since = Math.floor(Date.now() / 1000)

const container = await engine.containers.run({ image, command: ["sleep", "0.2"], autoRemove: true })
try {
  const filters = { type: ["container"], container: [container.id] }
  for await (const { Action, Actor } of engine.events({ since, filters, signal: stop.signal })) {
    console.log(Action, Actor.Attributes.exitCode ?? "")
    if (Action === "destroy") stop.abort(new Error("seen enough"))
  }
} catch (error) {
  if (!stop.signal.aborted) throw error
  console.log(stop.signal.reason.message)
} finally {
  engine.close()
}
