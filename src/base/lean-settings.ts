// Settings of the runtime's for a daemon that is small and soon fast; it reads them only from its environment.

/**
 * Collections begin as on a machine of 100 MB, and no code is compiled by the last, most wasteful compiler. Measured
 * after 1,000 containers: 125 MB at the peak become 81, 92 idle become 80; a container costs the same time.
 *
 * Code is compiled after half as many calls as usual: of the containers that a daemon has started hardly any two are in
 * the same second, and it took hundreds of them until all of their path was compiled. Measured over its first 100
 * containers: a create takes 1.2 ms instead of 1.8, the whole of a short container 8.0 ms instead of 9.6, for 8 MB more
 * until the daemon rests (daemon/trim.ts). A third as many calls save no more time and cost 20 MB.
 */
export const LEAN_SETTINGS = {
  BUN_JSC_forceRAMSize: "100000000",
  BUN_JSC_useFTLJIT: "0",
  BUN_JSC_jitPolicyScale: "0.5",
} as const
