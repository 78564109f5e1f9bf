// Measures alternately (A B A B …) so that a noisy machine hurts every contender alike; reports medians and ratios.
import { spawn } from "node:child_process"

export const median = (samples: readonly number[]): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** Runs each contender once per round, `rounds` times, after one unmeasured round. Milliseconds. */
export async function alternate(
  contenders: Readonly<Record<string, () => Promise<unknown>>>,
  rounds: number,
): Promise<Record<string, number[]>> {
  const samples: Record<string, number[]> = {}
  for (const [name, work] of Object.entries(contenders)) {
    samples[name] = []
    await work()
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, work] of Object.entries(contenders)) {
      const since = performance.now()
      await work()
      samples[name]?.push(performance.now() - since)
    }
  }
  return samples
}

/** Runs a command to its end with output thrown away; throws with its standard error when it fails. */
export function command(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(words[0] ?? "", words.slice(1), {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    })
    let problem = ""
    child.stderr.on("data", (chunk: Buffer) => {
      problem += chunk.toString()
    })
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${words.join(" ")} ended with ${code}: ${problem.trim()}`)),
    )
  })
}

/** Runs `count` jobs, at most `width` at once. */
export async function together(
  count: number,
  width: number,
  job: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await job(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
