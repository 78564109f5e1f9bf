// Device cgroup rules: the defaults, lines of devices.allow and devices.deny, and --device-cgroup-rule.
import { failure } from "../../base/errors.ts"
import type { DeviceRule } from "../../oci/runtime-spec.ts"

const rule = (
  type: "c" | "b",
  major: number | undefined,
  minor: number | undefined,
  access = "rwm",
): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
})

/** Everything denied but making nodes and the devices that each container has. */
export const defaultDeviceRules: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  rule("c", undefined, undefined, "m"),
  rule("b", undefined, undefined, "m"),
  rule("c", 1, 3), // null
  rule("c", 1, 5), // zero
  rule("c", 1, 7), // full
  rule("c", 1, 8), // random
  rule("c", 1, 9), // urandom
  rule("c", 5, 0), // tty
  rule("c", 5, 1), // console
  rule("c", 5, 2), // ptmx
  rule("c", 136, undefined), // pts
]

const pattern = /^([acb])(?: ([0-9]+|\*):([0-9]+|\*))? ([rwm]{1,3})$/

/** Parses "c 10:* rwm". Throws invalid as Docker words it. */
export function parseDeviceRule(text: string): DeviceRule {
  const match = pattern.exec(text)
  if (match === null) throw failure("invalid", `invalid device cgroup rule format: '${text}'`)
  const [, type, major, minor, access = ""] = match
  return {
    allow: true,
    type: type === "c" || type === "b" ? type : "a",
    major: major === undefined || major === "*" ? undefined : Number(major),
    minor: minor === undefined || minor === "*" ? undefined : Number(minor),
    access,
  }
}

const isEverything = (rule: DeviceRule): boolean =>
  (rule.type ?? "a") === "a" &&
  rule.major === undefined &&
  rule.minor === undefined &&
  /r/.test(rule.access) &&
  /w/.test(rule.access) &&
  /m/.test(rule.access)

/** A rule as a line of devices.allow or devices.deny. v1 takes "a" for everything and nothing else with it. */
export function deviceLines(rule: DeviceRule): { file: "devices.allow" | "devices.deny"; value: string }[] {
  const file = rule.allow ? "devices.allow" : "devices.deny"
  if (isEverything(rule)) return [{ file, value: "a" }]
  const numbers = `${rule.major ?? "*"}:${rule.minor ?? "*"}`
  const types = rule.type === "c" || rule.type === "b" ? [rule.type] : (["c", "b"] as const)
  return types.map((type) => ({ file, value: `${type} ${numbers} ${rule.access}` }))
}

/** Whether the rules allow everything, so that nothing has to be written. */
export const allowsEverything = (rules: readonly DeviceRule[]): boolean => {
  const last = rules.at(-1)
  return last === undefined || (last.allow && isEverything(last))
}
