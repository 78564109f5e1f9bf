// npm run corpus: records what the real builders make of the cases, or shows one of ours beside what is expected.
import { casesOf, type Judge, readExpected, writeExpected } from "./cases.ts"
import { startBuildKit, startClassic } from "./peers.ts"

const [verb, ...words] = process.argv.slice(2)

if (verb === "record" && (words[0] === "classic" || words[0] === "buildkit")) {
  const judge: Judge = words[0]
  const wanted = words.slice(1)
  const builder = await (judge === "classic" ? startClassic() : startBuildKit())
  try {
    for (const one of casesOf(judge)) {
      if (wanted.length > 0 && !wanted.includes(one.name)) continue
      const facts = await builder.build(one)
      writeExpected(judge, one.name, facts)
      console.log(`${one.name}: ${"error" in facts ? facts.error : `${facts.layers.length} layers`}`)
    }
  } finally {
    await builder.close()
  }
} else if (verb === "show" && words[0] !== undefined) {
  // Only now: the fixture builds the launcher.
  const { startOurs } = await import("./ours.ts")
  const ours = await startOurs()
  try {
    for (const judge of ["buildkit", "classic"] as const) {
      const one = casesOf(judge).find(({ name }) => name === words[0])
      if (one === undefined) continue
      console.log(`── ${judge}, expected`, JSON.stringify(readExpected(judge, one.name), null, 1))
      console.log("── ours", JSON.stringify(await ours[judge].build(one), null, 1))
    }
  } finally {
    await ours.close()
  }
} else {
  console.error("Usage: npm run corpus -- record classic|buildkit [CASE…] | show CASE")
  process.exitCode = 2
}
