/** Several lines on a process: command line, parent, state, what it waits for, what it holds open. */
export function describeProcess(pid: number | string): string
