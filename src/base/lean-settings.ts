// Settings of the runtime's for a daemon that is small and soon fast; it reads them only from its environment.

/**
 * Collections begin as on a machine of 100 MB, and no code is compiled by the last, most wasteful compiler. Measured
 * after 1,000 containers: 125 MB at the peak become 81, 92 idle become 80; a container costs the same time.
 *
 * Code is compiled after a third of the usual number of calls, as it took hundreds of containers until all of their path
 * was compiled. Measured over a daemon's first 100: a create takes 1.2 ms instead of 1.8, the whole of a short container
 * 8.0 instead of 9.6. It costs 20 MB until the daemon rests (daemon/trim.ts), and 20 to 30 ms of the first container after.
 */
export const LEAN_SETTINGS = {
  BUN_JSC_forceRAMSize: "100000000",
  BUN_JSC_useFTLJIT: "0",
  BUN_JSC_jitPolicyScale: "0.3",
} as const
