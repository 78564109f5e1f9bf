import { expect, test } from "bun:test"
import { complete, type Names } from "./complete.ts"

const names: Names = async (subject) => [
  [`${subject}-a`, ""],
  [`${subject}-b`, ""],
]
const words = async (line: string) => {
  const { candidates, files } = await complete(line.split(" "), names)
  return [...candidates.map(([word]) => word), ...(files ? ["<files>"] : [])]
}

const cases: readonly (readonly [line: string, expected: readonly string[]])[] = [
  ["pau", ["pause"]],
  ["netw", ["network"]],
  ["container unp", ["unpause"]],
  ["help container unp", ["unpause"]],
  ["start ", ["stopped-a", "stopped-b"]],
  ["stop ", ["running-a", "running-b"]],
  ["container unpause ", ["paused-a", "paused-b"]],
  ["run ", ["image-a", "image-b"]],
  ["run --rm -it image-", ["image-a", "image-b"]],
  ["run --name x ", ["image-a", "image-b"]],
  ["run --network ", ["network-a", "network-b"]],
  ["run --network=network-b", ["--network=network-b"]],
  ["run --restart un", ["unless-stopped"]],
  ["run busybox ", ["<files>"]],
  ["run --timi", ["--timing"]],
  ["run busybox --timi", ["<files>"]],
  ["logs --follow container-b", ["container-b"]],
  ["rmi ", ["image-a", "image-b"]],
  ["network connect ", ["network-a", "network-b"]],
  ["network connect blue ", ["container-a", "container-b"]],
  ["volume rm volume-a", ["volume-a"]],
  ["cp ", ["container-path-a", "container-path-b", "<files>"]],
  ["--context ", ["context-a", "context-b"]],
  ["--context x pau", ["pause"]],
  ["-H unix:///x pau", ["pause"]],
  ["--tlsv", ["--tlsverify"]],
  ["completion z", ["zsh"]],
  ["kill --signal TE", ["TERM"]],
  ["nosuch ", []],
]
for (const [line, expected] of cases)
  test(JSON.stringify(line), async () => expect(await words(line)).toEqual([...expected]))
