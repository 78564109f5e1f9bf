// Runs a container, reads what it writes as it comes, and removes it.
//   node examples/run-and-read.mjs [IMAGE]
import { connect } from "sloop"

const image = process.argv[2] ?? "busybox"
const engine = await connect()
try {
  const container = await engine.containers.create({
    image,
    command: ["sh", "-c", 'for i in 1 2 3; do echo "line $i"; done; echo done >&2; exit 7'],
    env: { GREETING: "hello" },
  })
  try {
    const ended = container.wait({ condition: "next-exit" })
    await container.start()
    for await (const { stream, text } of container.logs({ follow: true })) process.stdout.write(`${stream}: ${text}`)
    console.log(`exit code ${await ended}`)
  } finally {
    // With a newer Node, Bun or TypeScript: `await using container = …` instead of try and finally.
    await container.remove({ force: true })
  }
} finally {
  engine.close()
}
