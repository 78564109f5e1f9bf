// Runs a command line with docker and with sloop over the same engine and compares all that they say.
import { expect } from "bun:test"
import type { Output, TestEngine } from "../fixtures/engine.ts"

/** One command line per line; double quotes hold a word together, a backslash before a quote keeps it. */
export const caseLines = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .map((line) =>
      [...line.matchAll(/"((?:\\.|[^"\\])*)"|(\S+)/g)].map(
        ([, quoted, plain]) => quoted?.replace(/\\(["\\])/g, "$1") ?? plain ?? "",
      ),
    )

/** What may differ: the order of a container's networks, which the docker client lists in any; the program's name, ids and times of what each run made, and blanks at the ends of lines. */
const plain = (text: string): string =>
  text
    .replaceAll("own,inner", "inner,own")
    .replaceAll("docker", "sloop")
    .replaceAll("Docker", "Sloop")
    .replace(/"SystemTime":"[^"]*"/g, "<now>")
    .replace(/\b[0-9a-f]{64}\b/g, "<id>")
    .replace(/\b[0-9a-f]{12}\b/g, "<id12>")
    .replace(/\b(?:About )?(?:an?|\d+|Less than a) (?:seconds?|minutes?|hours?)\b/g, "<time>")
    .replace(/\d{2}:\d{2}:\d{2}/g, "<clock>")
    .replace(/ +/g, " ")
    .replace(/ +\n/g, "\n")

const said = ({ code, stdout, stderr }: Output) => ({ code, stdout: plain(stdout), stderr: plain(stderr) })

/** The docker client lists an image's names in any order. */
const anyOrder = (output: Output): Output => ({
  ...output,
  stdout: output.stdout.split("\n").sort().join("\n"),
})

/** Fails when the two differ. */
export async function expectSame(engine: TestEngine, words: readonly string[]): Promise<void> {
  const [docker, sloop] = [await engine.docker(...words), await engine.sloop(...words)]
  const order = /^images?$/.test(words[0] ?? "") ? anyOrder : (output: Output) => output
  expect(said(order(sloop))).toEqual(said(order(docker)))
}
