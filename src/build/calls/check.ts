// Answer of `--call=check`: what the rules found, and the failure that ended the reading (BuildKit's frontend.lint).
import type { CallAnswer } from "../build.ts"
import { excerpt } from "../dockerfile/excerpt.ts"
import type { Finding } from "../dockerfile/lint/findings.ts"
import { rules, ruleUrl } from "../dockerfile/lint/rules.ts"
import type { BuildFailure } from "../failure.ts"
import { base64, locationOf, withoutEmpty } from "./location.ts"

export interface Checked {
  /** Name and text of the Dockerfile. */
  readonly file: string
  readonly source: Uint8Array
  readonly findings: readonly Finding[]
  /** The Dockerfile cannot be built at all. */
  readonly error?: BuildFailure
}

const findingText = (finding: Finding, { file, source }: Checked): string => {
  const url = ruleUrl(finding.rule)
  const head = `\nWARNING: ${finding.rule}${url === "" ? "" : ` - ${url}`}\n${finding.message}\n`
  return head + excerpt(file, source, finding.place)
}

const errorText = ({ file, source, error }: Checked): string => {
  if (error === undefined) return ""
  const { place } = error.detail
  return `${error.message}\n${place === undefined ? "" : excerpt(file, source, place)}`
}

/** What `docker build --check` prints. */
const shownText = (checked: Checked, warnings: string): string => {
  const count = checked.findings.length
  const found = count === 1 ? "1 warning has been found!" : `${count} warnings have been found!`
  const head = count === 0 ? "" : `Check complete, ${found}\n`
  if (checked.error !== undefined)
    return `${head}${warnings}${count === 0 ? "" : "\n"}ERROR: ${errorText(checked)}`
  return count === 0 ? "Check complete, no warnings found.\n" : head + warnings
}

export const checkAnswer = (checked: Checked): CallAnswer => {
  const { file, source, findings, error } = checked
  const sorted = findings.toSorted((a, b) => a.place.first - b.place.first)
  const warnings = sorted.map((finding) => findingText(finding, checked)).join("")
  const found = findings.map(({ rule, message, place }) =>
    withoutEmpty({
      ruleName: rule,
      description: rules[rule].description,
      url: ruleUrl(rule),
      detail: message,
      location: locationOf(place),
    }),
  )
  const place = error?.detail.place
  return {
    text: warnings,
    shown: shownText(checked, warnings),
    json: {
      warnings: found.length === 0 ? null : found,
      sources: [withoutEmpty({ filename: file, data: base64(source), language: "Dockerfile" })],
      ...(error === undefined
        ? {}
        : {
            buildError: {
              message: error.message,
              location: place === undefined ? {} : locationOf(place),
            },
          }),
    },
    statusCode: found.length > 0 || error !== undefined ? 1 : 0,
  }
}
