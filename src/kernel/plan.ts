// Encodes a plan as one frame, ready for one write.
import { failure } from "../base/errors.ts"
import type { Plan } from "./kernel.ts"

export const frameVersion = 1
export const frameHeader = 8
export const frameKind = { plan: 1, report: 2, data: 3 } as const
const maxPlanBytes = 4 << 20
const maxOperations = 65_536
/** The largest payload of a data frame. */
export const maxFrameBytes = 1 << 20

/** Writes a frame's header into the first 8 bytes of `target`. `length` is the payload's. */
export function writeHeader(target: Buffer, kind: number, length: number): void {
  target[0] = frameVersion
  target[1] = kind
  target[2] = 0
  target[3] = 0
  target.writeUInt32LE(length, 4)
}

/** The frame of a plan. Throws invalid when an argument holds NUL or the plan is beyond the protocol's bounds. */
export function encodePlan(plan: Plan): Buffer {
  if (plan.length > maxOperations)
    throw failure("invalid", `A plan of ${plan.length} operations is more than the launcher takes`)
  let text = ""
  for (const operation of plan) {
    const count = operation.length - 1
    text += `${operation[0]}\0${count}\0`
    for (let index = 1; index <= count; index++) {
      const argument = operation[index] ?? ""
      if (argument.includes("\0"))
        throw failure("invalid", `An argument of "${operation[0]}" contains a NUL byte`)
      text += `${argument}\0`
    }
  }
  // A UTF-16 code unit takes at most three bytes in UTF-8.
  const buffer = Buffer.allocUnsafe(frameHeader + text.length * 3)
  const length = buffer.write(text, frameHeader, "utf8")
  if (length > maxPlanBytes)
    throw failure("invalid", `A plan of ${length} bytes is more than the launcher takes`)
  writeHeader(buffer, frameKind.plan, length)
  return buffer.subarray(0, frameHeader + length)
}
