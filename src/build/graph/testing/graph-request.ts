// Requests and base images for tests of graphs.
import { createHash } from "node:crypto"
import { failure } from "../../../base/errors.ts"
import { parseExecutionConfig } from "../../../oci/execution-config.ts"
import { parsePlatform } from "../../../oci/platform.ts"
import type { BuildRequest, ContextSource } from "../../build.ts"
import { plainBuild } from "../../testing/plain-build.ts"
import type { ResolvedImage, ResolveImage } from "../graph.ts"

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** Images that there are: their config as Docker writes it, and how many layers they have. */
const images: Readonly<Record<string, { readonly config: unknown; readonly layers: number }>> = {
  busybox: { config: { Env: [path], Cmd: ["sh"] }, layers: 1 },
  "alpine:3": { config: { Env: [path], Cmd: ["/bin/sh"] }, layers: 1 },
  golang: { config: { Env: [path, "GOPATH=/go"], WorkingDir: "/go" }, layers: 3 },
  empty: { config: { Env: ["A=1"], Labels: { from: "empty" } }, layers: 0 },
  configured: {
    layers: 2,
    config: {
      Env: [path, "FROM_BASE=yes"],
      Cmd: ["inherited"],
      Entrypoint: ["base"],
      User: "bob",
      WorkingDir: "/home/bob",
      Labels: { base: "label" },
      ExposedPorts: { "81/tcp": {} },
      Volumes: { "/inherited": {} },
      StopSignal: "SIGHUP",
      Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 7_000_000_000 },
      Shell: ["/bin/bash", "-c"],
    },
  },
  triggers: {
    config: {
      Env: [path],
      OnBuild: ["ENV TRIGGERED=1", "COPY --from=busybox /bin/sh /sh", "RUN echo $TRIGGERED"],
    },
    layers: 1,
  },
}

const digest = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`

/** Images of the table above, for any platform; "local/…" are here, others at a registry. */
export const resolveFromTable: ResolveImage = (reference, platform): Promise<ResolvedImage> => {
  const name = reference.replace(/^local\//, "")
  const image = Object.hasOwn(images, name) ? images[name] : undefined
  if (image === undefined) {
    const full = `docker.io/library/${name.includes(":") ? name : `${name}:latest`}`
    const sentence = `failed to resolve source metadata for ${full}: ${full}: not found`
    return Promise.reject(failure("not-found", sentence))
  }
  const layers = Array.from({ length: image.layers }, (_, at) => at)
  const { os, architecture, variant } = platform
  return Promise.resolve({
    digest: digest(reference),
    imageId: reference.startsWith("local/") ? digest(`id of ${name}`) : "",
    config: {
      architecture,
      variant,
      os,
      author: "",
      comment: "",
      created: 0,
      config: parseExecutionConfig(image.config, name),
      diffIds: layers.map((at) => digest(`${name} ${architecture} ${at}`)),
      history: layers.map(() => ({
        created: 0,
        createdBy: name,
        comment: "",
        author: "",
        emptyLayer: false,
      })),
      document: {},
    },
  })
}

/** What a case's options.json may say. */
export interface CaseOptions {
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly platforms?: readonly string[]
  readonly contexts?: Readonly<Record<string, ContextSource>>
  readonly noCache?: boolean
  readonly noCacheFilter?: readonly string[]
  readonly network?: string
  readonly extraHosts?: readonly string[]
  readonly entitlements?: readonly string[]
  readonly shmSize?: number
  readonly face?: "builder" | "classic"
  readonly ignored?: readonly string[]
}

export const buildRequest = (options: CaseOptions = {}): BuildRequest => {
  const {
    contexts = {},
    buildArgs = {},
    labels = {},
    platforms = ["linux/amd64"],
    ignored: _,
    ...same
  } = options
  return plainBuild({
    context: { type: "directory", path: "/context" },
    namedContexts: new Map(Object.entries(contexts)),
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map(Object.entries(labels)),
    platforms: platforms.map(parsePlatform),
    ...same,
  })
}
