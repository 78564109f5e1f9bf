// What a client may ask of this face: capabilities by BuildKit's names, as Ping tells them.

const frontend = [
  "solve.base",
  "solve.inlinereturn",
  "resolveimage",
  "resolveimage.resolvemode",
  "readfile",
  "readdir",
  "statfile",
  "return",
  "returnmap",
  "importcaches",
  "proto.refarray",
  "reference.output",
  "frontend.inputs",
  "frontend.caps",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "gateway.warnings",
  "source.metaresolver",
]

/** Of LLB; clients choose exporters and inputs by some of them. */
const llb = [
  "source.image",
  "source.image.resolvemode",
  "source.local",
  "source.local.unique",
  "source.local.sessionid",
  "source.local.includepatterns",
  "source.local.followpaths",
  "source.local.excludepatterns",
  "source.local.sharedkeyhint",
  "source.local.differ",
  "source.git",
  "source.git.keepgitdir",
  "source.git.fullurl",
  "source.git.httpauth",
  "source.git.knownsshhosts",
  "source.git.mountsshsock",
  "source.git.subdir",
  "source.http",
  "source.http.checksum",
  "source.http.perm",
  "source.ocilayout",
  "constraints",
  "platform",
  "meta.ignorecache",
  "meta.description",
  "meta.exportcache",
  "exporter.image.annotations",
  "exporter.image.attestations",
  "exporter.sourcedateepoch",
  "exporter.multiple",
]

const disabled = (id: string, why: string) => ({ id, enabled: false, disabledMessage: why })

const enabled = (id: string) => ({ id, enabled: true })

export const frontendCapabilities = [
  ...frontend.map(enabled),
  disabled("gateway.exec", "containers of a frontend's own are not run by this engine"),
]
export const llbCapabilities = llb.map(enabled)
