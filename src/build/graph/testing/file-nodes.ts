// COPY for tests, as a node: everything from nowhere to the top, changed where a test says so.
import { hostPlatform } from "../../../oci/platform.ts"
import type { CopyAction, FileNode } from "../graph.ts"

export const copyAction = (changes: Partial<CopyAction> = {}): CopyAction => ({
  type: "copy",
  input: "scratch",
  sources: ["."],
  destination: "/",
  owner: "",
  parents: false,
  exclude: [],
  unpack: false,
  follow: true,
  required: true,
  ...changes,
})

export const fileNode = (actions: FileNode["actions"], changes: Partial<FileNode> = {}): FileNode => ({
  type: "file",
  digest: "sha256:step",
  definition: "sha256:definition",
  name: "COPY",
  platform: hostPlatform(),
  fresh: false,
  root: "scratch",
  independent: false,
  actions,
  ...changes,
})
