// Node's modules that a command may not need. Imported, each would be loaded at every start, used or not: node:fs alone
// takes 1.5 ms of a process that lives for 20. `require` loads it at the first call (getBuiltinModule takes twice as long).

export const fileSystem = (): typeof import("node:fs") => require("node:fs")

export const paths = (): typeof import("node:path") => require("node:path")

export const processes = (): typeof import("node:child_process") => require("node:child_process")

export const system = (): typeof import("node:os") => require("node:os")
