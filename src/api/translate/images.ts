// Images as the API shows them.
import type { Image } from "../../images/images.ts"
import type { ImageHistoryEntry, ImageInspect, ImageSummary } from "../../wire/wire.ts"
import { setOf, sharedView } from "./inspect.ts"
import { rfc3339 } from "./times.ts"

export function imageSummary(image: Image, minor: number, containers: number): ImageSummary {
  return {
    Id: image.id,
    ParentId: image.parent,
    RepoTags: image.tags.length === 0 && minor < 43 ? ["<none>:<none>"] : [...image.tags],
    RepoDigests: image.digests.length === 0 && minor < 43 ? ["<none>@<none>"] : [...image.digests],
    Created: Math.floor(image.created / 1000),
    Size: image.size,
    SharedSize: -1,
    ...(minor < 44 ? { VirtualSize: image.size } : {}),
    Labels: Object.keys(image.config.labels).length > 0 ? { ...image.config.labels } : null,
    Containers: containers,
  }
}

const CONTAINERS_ONLY = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
}

export function imageInspect(image: Image, driver: string, minor: number): ImageInspect {
  const { config } = image
  return {
    Id: image.id,
    RepoTags: [...image.tags],
    RepoDigests: [...image.digests],
    Parent: image.parent,
    Comment: image.comment,
    Created: rfc3339(image.created),
    DockerVersion: "",
    Author: image.author,
    // What only containers have left images' configs with 1.50, and what built them with 1.45.
    ...(minor < 45 ? { Container: "", ContainerConfig: null } : {}),
    Config: {
      ...(minor < 50 ? CONTAINERS_ONLY : {}),
      User: config.user,
      ...(config.exposedPorts.length > 0 ? { ExposedPorts: setOf(config.exposedPorts) } : {}),
      Env: config.env.length > 0 ? [...config.env] : null,
      Cmd: config.command?.length ? [...config.command] : null,
      Volumes: config.volumes.length > 0 ? setOf(config.volumes) : null,
      WorkingDir: config.workingDirectory,
      Entrypoint: config.entrypoint?.length ? [...config.entrypoint] : null,
      OnBuild: config.onBuild?.length ? [...config.onBuild] : null,
      Labels: { ...config.labels },
      ...(config.stopSignal ? { StopSignal: config.stopSignal } : {}),
      ...sharedView(config),
    },
    Architecture: image.architecture,
    ...(image.variant === "" ? {} : { Variant: image.variant }),
    Os: image.os,
    Size: image.size,
    ...(minor < 44 ? { VirtualSize: image.size } : {}),
    GraphDriver: { Data: null, Name: driver },
    RootFS: {
      Type: "layers",
      ...(image.diffIds.length > 0 ? { Layers: [...image.diffIds] } : {}),
    },
    Metadata: { LastTagTime: rfc3339(image.addedAt) },
  }
}

/** Newest step first; only the top one has an id, as for every image that was not built here. */
export function imageHistory(image: Image): ImageHistoryEntry[] {
  const layers = [...image.layers]
  const entries = image.history.map((step): ImageHistoryEntry => {
    const layer = step.emptyLayer ? undefined : layers.shift()
    return {
      Id: "<missing>",
      Created: Math.floor(step.created / 1000),
      CreatedBy: step.createdBy,
      Tags: null,
      Size: layer?.size ?? 0,
      Comment: step.comment,
    }
  })
  entries.reverse()
  const [top] = entries
  if (top) Object.assign(top, { Id: image.id, Tags: image.tags.length > 0 ? [...image.tags] : null })
  return entries
}
