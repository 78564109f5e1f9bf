// Dockerfile instructions of --change.
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseExecutionConfig } from "../../oci/execution-config.ts"
import { expand, splitWords } from "../words.ts"
import { applyChanges } from "./changes.ts"

const empty = parseExecutionConfig({ Env: ["HOME=/root"], Cmd: ["old"] }, "a test")

const braced = (inner: string) => `\${${inner}}`

test.each([
  ["CMD echo $HOME", { command: ["/bin/sh", "-c", "echo $HOME"] }],
  ['CMD ["a", "b c"]', { command: ["a", "b c"] }],
  ["cmd []", { command: [] }],
  ['ENTRYPOINT ["/x"]', { entrypoint: ["/x"] }],
  [
    "ENV A=1 B='x $HOME' C=\"y $HOME\" D=a\\ b",
    { env: ["HOME=/root", "A=1", "B=x $HOME", "C=y /root", "D=a b"] },
  ],
  ["ENV A some words", { env: ["HOME=/root", "A=some words"] }],
  ["ENV HOME=/home", { env: ["HOME=/home"] }],
  [
    `ENV X=${braced("HOME")}/x Y=${braced("NONE:-d")} Z=${braced("HOME:+s")}`,
    { env: ["HOME=/root", "X=/root/x", "Y=d", "Z=s"] },
  ],
  ["EXPOSE 80 53/udp 8000-8002", { exposedPorts: ["53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"] }],
  ['LABEL a=b "c d"="e f"', { labels: { a: "b", "c d": "e f" } }],
  ["ONBUILD RUN make", { onBuild: ["RUN make"] }],
  ["USER 1000:1000", { user: "1000:1000" }],
  ['VOLUME ["/data", "/b c"]', { volumes: ["/b c", "/data"] }],
  ["VOLUME /a /b", { volumes: ["/a", "/b"] }],
  ["WORKDIR /a/b/../c", { workingDirectory: "/a/c" }],
  ["WORKDIR x", { workingDirectory: "/x" }],
  ["STOPSIGNAL SIGINT", { stopSignal: "SIGINT" }],
  ['SHELL ["/bin/bash", "-c"]', { shell: ["/bin/bash", "-c"] }],
  ["HEALTHCHECK NONE", { healthcheck: { test: ["NONE"] } }],
  [
    "HEALTHCHECK --interval=5s --start-period=1m --retries=2 CMD curl localhost",
    {
      healthcheck: { test: ["CMD-SHELL", "curl localhost"], interval: 5000, startPeriod: 60_000, retries: 2 },
    },
  ],
  ['HEALTHCHECK CMD ["true"]', { healthcheck: { test: ["CMD", "true"] } }],
  ["# nothing\n\nUSER a", { user: "a" }],
])("%s", (change, expected) => {
  expect(applyChanges(empty, [change])).toMatchObject(expected)
})

test.each([
  ["RUN true", "RUN is not a valid change command"],
  ["FROM x", "FROM is not a valid change command"],
  ["ENV", "ENV requires at least one argument"],
  ["ENV A", "ENV must have two arguments"],
  ["ENV A=1 B", "can't find = in"],
  ["ENV =1", "names can not be blank"],
  ['ENV A="1', "looking for matching double-quote"],
  ["ENV A=${B", "is not closed"],
  [`ENV A=${braced("B:?gone")}`, "B: gone"],
  ["EXPOSE x", "invalid containerPort: x"],
  ["EXPOSE 70000", "invalid containerPort"],
  ["EXPOSE 80/icmp", "invalid containerPort"],
  ["ONBUILD ONBUILD x", "Chaining ONBUILD"],
  ["ONBUILD FROM x", "isn't allowed as an ONBUILD trigger"],
  ["USER", "USER requires exactly one argument"],
  ["VOLUME", "VOLUME requires at least one argument"],
  ["SHELL /bin/sh", "JSON form"],
  ["HEALTHCHECK curl", 'Unknown type "curl" in HEALTHCHECK'],
  ["HEALTHCHECK CMD", "Missing command"],
  ["HEALTHCHECK --bad=1 CMD x", "Unknown flag: bad"],
  ["HEALTHCHECK --interval=x CMD y", "invalid duration"],
  ["USER a\0b", "NUL"],
  ["__proto__ x", "is not a valid change command"],
])("refuses %p", (change, message) => {
  expect(() => applyChanges(empty, [change])).toThrow(message)
})

test("an entry point alone forgets the inherited command", () => {
  expect(applyChanges(empty, ['ENTRYPOINT ["/x"]']).command).toBeUndefined()
})

test("a command given with an entry point stays", () => {
  const changed = applyChanges(empty, ['CMD ["c"]', 'ENTRYPOINT ["e"]'])
  expect(changed).toMatchObject({ command: ["c"], entrypoint: ["e"] })
})

test("no text breaks the words or the instructions with anything but invalid", () => {
  const name = fc.constantFrom(
    "ENV",
    "CMD",
    "LABEL",
    "EXPOSE",
    "VOLUME",
    "HEALTHCHECK",
    "USER",
    "ONBUILD",
    "WORKDIR",
  )
  fc.assert(
    fc.property(name, fc.string({ maxLength: 80 }), (instruction, text) => {
      splitWords(text)
      try {
        expand(text, () => "v")
        applyChanges(empty, [`${instruction} ${text}`])
      } catch (error) {
        expect(error).toMatchObject({ kind: "invalid" })
      }
    }),
  )
})
