// Digests of nodes: every field that the result depends on, canonical, so that equal steps of two stages are one node.
import { createHash } from "node:crypto"
import type { CopyAction, ExecMount, Input, MakeDirectoryAction, MakeFileAction, Node } from "./graph.ts"

type Field = string | number | boolean | null | readonly Field[]

const sha256 = (bytes: string | Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`

const optional = <T extends string | number>(value: T | undefined): T | null => value ?? null

const digestOf = (input: Input): string => (input === "scratch" ? "scratch" : input.digest)

/** A mount without the tree that it shows. */
const mountFields = (mount: ExecMount): Field => {
  switch (mount.type) {
    case "bind":
      return ["bind", mount.source, mount.target, mount.readOnly]
    case "cache":
      return [
        "cache",
        mount.id,
        mount.target,
        mount.sharing,
        mount.readOnly,
        mount.mode,
        mount.uid,
        mount.gid,
        mount.source,
        mount.input !== undefined,
      ]
    case "tmpfs":
      return ["tmpfs", mount.target, mount.size]
    case "secret":
      return [
        "secret",
        mount.id,
        optional(mount.target),
        optional(mount.env),
        mount.required,
        mount.mode,
        mount.uid,
        mount.gid,
      ]
    case "ssh":
      return ["ssh", mount.id, mount.target, mount.required, mount.mode, mount.uid, mount.gid]
  }
}

const actionFields = (action: CopyAction | MakeFileAction | MakeDirectoryAction): Field => {
  switch (action.type) {
    case "copy":
      return [
        "copy",
        action.sources,
        action.destination,
        action.owner,
        optional(action.mode),
        action.parents,
        action.exclude,
        action.unpack,
        action.follow,
        action.required,
      ]
    case "file":
      return [
        "file",
        action.path,
        optional(action.nameInDirectory),
        sha256(action.content),
        action.owner,
        optional(action.mode),
      ]
    case "directory":
      return ["directory", action.path, action.owner, action.mode]
  }
}

type Of<T extends Node["type"]> = Extract<Node, { readonly type: T }>

/** A node that has no digests yet. */
export type Draft<T extends Node["type"] = Node["type"]> = {
  [K in T]: Omit<Of<K>, "digest" | "definition">
}[T]

/** `beyond` are facts of the request that the result depends on as well. */
const ownFields = (node: Draft, beyond: readonly string[]): readonly Field[] => {
  switch (node.type) {
    case "image":
      // The files are what the layers say, wherever they come from and whatever their name is.
      return [
        node.platform.os,
        node.platform.architecture,
        node.platform.variant,
        node.resolved.config.diffIds.length === 0 ? node.resolved.digest : node.resolved.config.diffIds,
      ]
    case "context":
      return [node.context, beyond]
    case "git":
      return [node.url, node.ref, node.subdirectory, node.keepGitDirectory, node.checksum]
    case "http":
      return [node.url, node.checksum, node.filename]
    case "exec":
      return [
        node.platform.os,
        node.platform.architecture,
        node.platform.variant,
        node.argv,
        node.env,
        node.user,
        node.workingDirectory,
        node.mounts.map(mountFields),
        node.network,
        node.security,
        node.hostname,
        node.extraHosts,
        beyond,
      ]
    case "file":
      return [node.independent, node.actions.map(actionFields)]
  }
}

const inputsOf = (node: Draft): readonly Input[] => {
  switch (node.type) {
    case "exec":
      return [
        node.root,
        ...node.mounts.flatMap((mount) =>
          "input" in mount && mount.input !== undefined ? [mount.input] : [],
        ),
      ]
    case "file":
      return [node.root, ...node.actions.flatMap((action) => (action.type === "copy" ? [action.input] : []))]
    default:
      return []
  }
}

/** All inputs of a node: its root first, then those of its mounts or actions, in order. */
export const nodeInputs = (node: Node): readonly Input[] => inputsOf(node)

/** Version of the definitions: to be raised when the same fields begin to mean something else. */
const version = 1

/** Nodes of one graph, each once. */
export interface Nodes {
  /** The node with these fields; one that was there already becomes fresh when this one is. */
  make<T extends Node["type"]>(draft: Draft<T>, beyond?: readonly string[]): Of<T>
}

export const newNodes = (): Nodes => {
  const known = new Map<string, Node & { fresh: boolean }>()
  const make = (draft: Draft, beyond: readonly string[] = []): Node => {
    const definition = sha256(JSON.stringify([version, draft.type, ...ownFields(draft, beyond)]))
    const digest = sha256(JSON.stringify([definition, ...inputsOf(draft).map(digestOf)]))
    const found = known.get(digest)
    if (found !== undefined) {
      found.fresh ||= draft.fresh
      return found
    }
    const node = { ...draft, definition, digest }
    known.set(digest, node)
    return node
  }
  // The digest covers the type: what is found is of the type that was asked for.
  return { make: make as Nodes["make"] }
}
