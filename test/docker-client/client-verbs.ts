// The docker client's verbs that an engine answers, in the order of docs/compatibility.md.
export const clientVerbs: readonly string[] = [
  ...["run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "wait", "attach", "exec"],
  ...["logs", "top", "stats", "port", "ps", "inspect", "rename", "update", "rm", "container prune"],
  ...["cp", "diff", "export", "commit"],
  ...["images", "image inspect", "history", "tag", "rmi", "import", "save", "load", "image prune"],
  ...["volume create", "volume ls", "volume inspect", "volume rm", "volume prune"],
  ...[
    "network ls",
    "network inspect",
    "network create",
    "network connect",
    "network disconnect",
    "network rm",
  ],
  ...["network prune", "events", "info", "version", "system df", "system prune"],
  ...["pull", "push", "login", "logout", "search", "build", "builder prune"],
]

/** Flags of a verb, as its help lists them: long names with two dashes. */
export const flagsOf = (help: string): string[] =>
  [...help.matchAll(/^ {2,}(?:-\w, )?(--[\w-]+)/gm)].map((match) => match[1] ?? "")
