// The smaller request bodies: exec, volumes, networks, and what the other verbs send.
import * as v from "valibot"
import { containerConfigEntries, endpointSettingsSchema } from "./create.ts"
import { flag, listOf, maybe, maybeFlag, maybeText, text, textMap, texts, whole, words } from "./lenient.ts"

export const execCreateSchema = v.object({
  User: text,
  Privileged: flag,
  Tty: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  DetachKeys: maybeText,
  Env: texts,
  WorkingDir: text,
  Cmd: words,
  ConsoleSize: maybe(v.tuple([whole, whole])),
})

export const execStartSchema = v.object({
  Detach: flag,
  Tty: flag,
  ConsoleSize: maybe(v.tuple([whole, whole])),
})

export const volumeCreateSchema = v.object({
  Name: text,
  Driver: text,
  DriverOpts: textMap,
  Labels: maybe(textMap),
})

export const commitSchema = v.object({ ...containerConfigEntries })
export type CommitRequest = v.InferOutput<typeof commitSchema>

export const networkCreateSchema = v.object({
  Name: text,
  Driver: text,
  Scope: text,
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: maybe(v.object({ Network: text })),
  EnableIPv4: maybeFlag,
  EnableIPv6: maybeFlag,
  Options: textMap,
  Labels: textMap,
  IPAM: maybe(
    v.object({
      Driver: text,
      Options: maybe(textMap),
      Config: listOf(v.object({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: textMap })),
    }),
  ),
})
/** POST /networks/create, decoded. */
export type WireNetworkCreate = v.InferOutput<typeof networkCreateSchema>

export const networkConnectSchema = v.object({
  Container: text,
  EndpointConfig: maybe(endpointSettingsSchema),
})

export const networkDisconnectSchema = v.object({ Container: text, Force: flag })
