// Verbs that docker has and this engine has not yet: each gets a sentence that says what it comes with.

const never = (what: string) => `is not part of Sloop: ${what}`

const later: Readonly<Record<string, string>> = {
  buildx: never("it has one builder: use sloop build and sloop builder"),
  trust: never("signatures are referrers of an image, as its registry keeps them"),
  compose: "comes with projects of several containers",
  plugin: never("it has no plugins"),
  swarm: never("it runs the containers of one machine"),
  node: never("it runs the containers of one machine"),
  service: never("it runs the containers of one machine"),
  stack: never("it runs the containers of one machine"),
  secret: never("it runs the containers of one machine"),
  config: never("it runs the containers of one machine"),
  checkpoint: never("it makes no checkpoints"),
}

/** The sentence for a verb that is known but absent; undefined for others. */
export function comesLater(words: readonly string[]): string | undefined {
  const [first = "", second = ""] = words
  for (const name of [`${first} ${second}`, first]) {
    const reason = Object.hasOwn(later, name) ? later[name] : undefined
    if (!reason) continue
    return reason.startsWith("is not")
      ? `sloop ${name} ${reason}`
      : `sloop ${name} is not there yet: it ${reason}`
  }
  return undefined
}
