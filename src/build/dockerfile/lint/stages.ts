// What lint finds in the stages as a whole: their names, and one casing of all keywords.
import type { Place, Stage } from "../instructions.ts"
import type { Findings } from "./findings.ts"

const reserved = ["context", "scratch"]

export const reportStageNames = (stages: readonly Stage[], findings: Findings): void => {
  const seen = new Set<string>()
  for (const { name, from } of stages) {
    if (name === "") continue
    if (reserved.includes(name)) findings.report("ReservedStageName", from.place, name)
    if (seen.has(name)) findings.report("DuplicateStageName", from.place, name)
    seen.add(name)
  }
}

interface Keyword {
  readonly keyword: string
  readonly place: Place
}

const isLower = ({ keyword }: Keyword): boolean => keyword === keyword.toLowerCase()
const isUpper = ({ keyword }: Keyword): boolean => keyword === keyword.toUpperCase()

/** Most keywords are in one case: the others should be, too. With as many of each it is the upper case. */
export const reportCasing = (stages: readonly Stage[], findings: Findings): void => {
  const keywords: readonly Keyword[] = stages.flatMap(({ from, instructions }) => [from, ...instructions])
  const isMostlyLower = keywords.filter(isLower).length > keywords.filter(isUpper).length
  for (const each of keywords)
    if (isMostlyLower ? !isLower(each) : !isUpper(each))
      findings.report(
        "ConsistentInstructionCasing",
        each.place,
        each.keyword,
        isMostlyLower ? "lowercase" : "uppercase",
      )
}
