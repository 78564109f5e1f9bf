// The cases on the disk: contexts in cases/, what the real builders made of them in expected/.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { CaseFacts } from "./image-facts.ts"

const here = import.meta.dirname

/** Builders whose results are kept. */
export type Judge = "classic" | "buildkit"

export interface Case {
  readonly name: string
  readonly directory: string
  /** File name of the Dockerfile within the context, "Dockerfile" unless the case says otherwise. */
  readonly dockerfile?: string
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly secrets?: Readonly<Record<string, string>>
  readonly only?: readonly Judge[]
}

export const allCases = (): Case[] =>
  readdirSync(join(here, "cases"))
    .toSorted()
    .map((name) => {
      const directory = join(here, "cases", name)
      const options = join(directory, "case.json")
      return { ...(existsSync(options) ? JSON.parse(readFileSync(options, "utf8")) : {}), name, directory }
    })

export const casesOf = (judge: Judge): Case[] =>
  allCases().filter(({ only }) => only === undefined || only.includes(judge))

/** The words of `build` for a case, without its context. Secrets are files in `secretsDirectory`. */
export const buildWords = (one: Case, secretsDirectory: string): string[] => [
  ...(one.dockerfile === undefined ? [] : ["-f", join(one.directory, one.dockerfile)]),
  ...(one.target ? ["--target", one.target] : []),
  ...Object.entries(one.buildArgs ?? {}).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]),
  ...Object.entries(one.labels ?? {}).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
  ...Object.entries(one.secrets ?? {}).flatMap(([id, value]) => {
    const path = join(secretsDirectory, `${one.name}-${id}`)
    writeFileSync(path, value, { mode: 0o600 })
    return ["--secret", `id=${id},src=${path}`]
  }),
]

const expectedPath = (judge: Judge, name: string) => join(here, "expected", judge, `${name}.json`)

export const readExpected = (judge: Judge, name: string): CaseFacts =>
  JSON.parse(readFileSync(expectedPath(judge, name), "utf8"))

export const writeExpected = (judge: Judge, name: string, facts: CaseFacts): void => {
  mkdirSync(join(here, "expected", judge), { recursive: true })
  writeFileSync(expectedPath(judge, name), `${JSON.stringify(facts, null, 2)}\n`)
}

/** Reasons why Sloop differs from a judge in a case. */
export const differences = (): Readonly<Record<Judge, Readonly<Record<string, string>>>> =>
  JSON.parse(readFileSync(join(here, "differences.json"), "utf8"))
