// Media types of images: OCI's and the Docker ones with the same meaning.

export const mediaTypes = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayerZstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  dockerForeignLayer: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+json",
  dockerSchema1Signed: "application/vnd.docker.distribution.manifest.v1+prettyjws",
  /** The config of artifacts that have none. */
  ociEmpty: "application/vnd.oci.empty.v1+json",
} as const

export const isIndexType = (type: string): boolean =>
  type === mediaTypes.ociIndex || type === mediaTypes.dockerList

export const isManifestType = (type: string): boolean =>
  type === mediaTypes.ociManifest || type === mediaTypes.dockerManifest

export const isConfigType = (type: string): boolean =>
  type === mediaTypes.ociConfig || type === mediaTypes.dockerConfig

/** Whether bytes of this type are a layer's tar, compressed or not. */
export const isLayerType = (type: string): boolean =>
  /^application\/vnd\.oci\.image\.layer\.v1\.tar(\+(gzip|zstd))?$/.test(type) ||
  /^application\/vnd\.docker\.image\.rootfs\.diff\.tar(\.(gzip|zstd))?$/.test(type)

/** Layers that their licence keeps out of registries: they come from the URLs of their descriptor, and are never pushed. */
export const isForeignLayerType = (type: string): boolean =>
  type === mediaTypes.dockerForeignLayer ||
  /^application\/vnd\.oci\.image\.layer\.nondistributable\.v1\.tar(\+(gzip|zstd))?$/.test(type)

/** Manifests older than 2015, which name layers by history and not by content. */
export const isSchema1Type = (type: string): boolean =>
  type === mediaTypes.dockerSchema1 || type === mediaTypes.dockerSchema1Signed

/** The OCI type of a layer by its compression. */
export const layerTypeOf = (compression: "none" | "gzip" | "zstd"): string =>
  compression === "gzip"
    ? mediaTypes.ociLayerGzip
    : compression === "zstd"
      ? mediaTypes.ociLayerZstd
      : mediaTypes.ociLayer
