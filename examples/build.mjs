// Builds an image from a directory, shows each step as it ends, and runs what came out.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "sloop"

const directory = mkdtempSync(join(tmpdir(), "build-"))
writeFileSync(
  join(directory, "Dockerfile"),
  `FROM busybox
RUN --mount=type=secret,id=word cat /run/secrets/word | tr a-z A-Z > /said
CMD ["cat", "/said"]
`,
)

const engine = await connect()
const build = engine.build({ directory, tags: ["example:built"], secrets: { word: "hello" } })
for await (const event of build) {
  if (event.type === "step" && event.step.completed && event.step.name.startsWith("[2/2]"))
    console.log(event.step.error ? "failed" : "made")
}
const { imageId } = await build.result
console.log(imageId?.startsWith("sha256:"))

const container = await engine.containers.run({ image: "example:built" })
await container.wait()
for await (const { text } of container.logs()) console.log(text)
await container.remove()
await engine.images.remove("example:built")
engine.close()
rmSync(directory, { recursive: true })
