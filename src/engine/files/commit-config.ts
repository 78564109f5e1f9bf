// The config of an image that is made of a container: the container's, and over it what the client asked for.
import type { ImageConfig } from "../../images/images.ts"
import type { ContainerConfig } from "../../state/state.ts"
import type { CommitConfig } from "../engine.ts"

/** What an image can say of a container's config. */
export const imageConfigOf = (config: ContainerConfig): ImageConfig => ({
  user: config.user,
  exposedPorts: config.exposedPorts,
  env: config.env,
  entrypoint: config.entrypoint,
  command: config.command.length > 0 ? config.command : undefined,
  argsEscaped: config.argsEscaped,
  volumes: config.volumes,
  workingDirectory: config.workingDirectory,
  labels: config.labels,
  stopSignal: config.stopSignal,
  healthcheck: config.healthcheck,
  shell: config.shell,
  onBuild: config.onBuild,
})

const nameOf = (variable: string): string => variable.split("=", 1)[0] ?? ""
const union = (first: readonly string[], second: readonly string[]): string[] => [
  ...new Set([...first, ...second]),
]

/** As Docker merges them: single values replace, lists and maps add, and an entrypoint of one's own brings its own command. */
export function withCommitConfig(config: ImageConfig, asked: CommitConfig): ImageConfig {
  const { env = [], entrypoint, command } = asked
  const own = new Set(env.map(nameOf))
  const ownStart = entrypoint !== undefined && entrypoint.length > 0
  const keepsCommand = !ownStart && (command === undefined || command.length === 0)
  return {
    user: asked.user || config.user,
    exposedPorts: union(config.exposedPorts, asked.exposedPorts ?? []),
    env: [...env, ...config.env.filter((variable) => !own.has(nameOf(variable)))],
    entrypoint: entrypoint ?? config.entrypoint,
    command: keepsCommand ? config.command : command,
    argsEscaped: keepsCommand ? config.argsEscaped : asked.argsEscaped,
    volumes: union(config.volumes, asked.volumes ?? []),
    workingDirectory: asked.workingDirectory || config.workingDirectory,
    labels: { ...config.labels, ...asked.labels },
    stopSignal: asked.stopSignal || config.stopSignal,
    healthcheck: asked.healthcheck ? { ...config.healthcheck, ...asked.healthcheck } : config.healthcheck,
    shell: asked.shell ?? config.shell,
    onBuild: asked.onBuild ?? config.onBuild,
  }
}
