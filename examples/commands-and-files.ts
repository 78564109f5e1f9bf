// Runs commands in a container, measures it and copies a file out; `await using` removes it.
//   bun examples/commands-and-files.ts [IMAGE]
import { connect } from "sloop"

await using engine = await connect()
await using container = await engine.containers.run({
  image: process.argv[2] ?? "busybox",
  command: ["sleep", "1000"],
  labels: { example: "commands-and-files" },
})

const { exitCode, stdout, stderr } = await container.exec(["sh", "-c", "cat > /tmp/note; wc -c < /tmp/note; ls /nowhere"], {
  input: "hello from the library\n",
})
console.log(`exit code ${exitCode}, said ${stdout.trim()}, complained: ${stderr.trim() !== ""}`)

for await (const { pids_stats } of container.stats()) {
  console.log(`processes: ${pids_stats.current}`)
  break
}

let bytes = 0
for await (const piece of container.getArchive("/tmp/note")) bytes += piece.length
console.log(`an archive of whole blocks: ${bytes % 512 === 0 && bytes > 0}`)
