// Types of launcher.mjs for the bench.
/** Compiles these C files as the launcher is compiled, and returns the program's path. */
export function buildProgram(files: readonly string[], out: string, sanitize?: boolean): string
export function launcherFile(name: string): string
