// Contract. What a build must do, as values: nodes that name their inputs. Made by reading only; nothing here runs anything.
import type { ConfigDocument } from "../../oci/config.ts"
import type { Platform } from "../../oci/platform.ts"
import type { ToldStage } from "../progress.ts"

/** Files: a node's result, or one of its mounts. "scratch" is the empty tree. */
export type Input = Node | "scratch"

interface Common {
  /** Digest of what the node is: its own fields and its inputs' digests; the same node in two stages is one. */
  readonly digest: string
  /**
   * Digest of the node's own fields alone: what is done, not to what. Part of cache keys, beside the keys of the inputs. A
   * context's is who it comes from ("directory" and its path …): its contents are known only when it is open.
   */
  readonly definition: string
  /** For progress: "[build 2/5] RUN make". */
  readonly name: string
  readonly platform: Platform
  /** Lines of the Dockerfile, for failures; absent for internal nodes. */
  readonly place?: { readonly first: number; readonly last: number }
  /** May not be taken from the cache (--no-cache, --no-cache-filter). */
  readonly fresh: boolean
}

/** A base image's files. */
export interface ImageNode extends Common {
  readonly type: "image"
  /** Familiar reference as written. */
  readonly reference: string
  /** Image id or manifest digest that it was resolved to; its layers are brought in when the node runs. */
  readonly resolved: ResolvedImage
}

/** The build context or a named one: a tree that is no state of a stage. */
export interface ContextNode extends Common {
  readonly type: "context"
  /** "" = the main context, else the name of a named one. */
  readonly context: string
}

export interface GitNode extends Common {
  readonly type: "git"
  readonly url: string
  readonly ref: string
  readonly subdirectory: string
  readonly keepGitDirectory: boolean
  /** "sha1/sha256 commit" to be verified, "" = none. */
  readonly checksum: string
}

export interface HttpNode extends Common {
  readonly type: "http"
  readonly url: string
  /** "sha256:…" or "". */
  readonly checksum: string
  /** File name that it gets. */
  readonly filename: string
}

/** A mount of an exec node. Targets are absolute paths in the container. */
export type ExecMount =
  | {
      readonly type: "bind"
      readonly input: Input
      readonly source: string
      readonly target: string
      readonly readOnly: boolean
    }
  | {
      readonly type: "cache"
      readonly id: string
      readonly target: string
      readonly sharing: "shared" | "private" | "locked"
      readonly readOnly: boolean
      readonly mode: number
      readonly uid: number
      readonly gid: number
      /** What it begins with when it is new. */
      readonly input?: Input
      readonly source: string
    }
  | { readonly type: "tmpfs"; readonly target: string; readonly size: number }
  | {
      readonly type: "secret"
      readonly id: string
      readonly target?: string
      readonly env?: string
      readonly required: boolean
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | {
      readonly type: "ssh"
      readonly id: string
      readonly target: string
      readonly required: boolean
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }

export interface ExecNode extends Common {
  readonly type: "exec"
  readonly root: Input
  readonly argv: readonly string[]
  readonly env: readonly string[]
  /** HTTP_PROXY and its like from build arguments, in both cases of letters: the command sees them, digests and history do not. */
  readonly proxyEnv: readonly string[]
  readonly user: string
  readonly workingDirectory: string
  readonly mounts: readonly ExecMount[]
  readonly network: "default" | "none" | "host"
  readonly security: "sandbox" | "insecure"
  /** Name of the machine that the command sees; "" = the usual one. */
  readonly hostname: string
  /** "name:address" */
  readonly extraHosts: readonly string[]
  /** How the failure names the command: `process "/bin/sh -c make" did not complete successfully: exit code: 2`. */
  readonly commandText: string
  /** Build arguments that the command sees, for the classic builder's text of history ("|1 X=y /bin/sh -c …"). */
  readonly argumentsSeen: readonly string[]
}

export interface CopyAction {
  readonly type: "copy"
  readonly input: Input
  /** Patterns (Go's filepath.Match) or paths, relative to the input's root. */
  readonly sources: readonly string[]
  /** Absolute, in the result's root; with a trailing slash it is a directory. */
  readonly destination: string
  /** "" = the files' own, which are 0:0 in contexts and what the archive says in archives; "uid:gid" or names to be looked up in the result's root. */
  readonly owner: string
  /** undefined = as they are; octal number, or symbolic text ("u+x,go-w"). */
  readonly mode?: number | string
  /** Keep directories above the pivot "/./" (--parents). */
  readonly parents: boolean
  readonly exclude: readonly string[]
  /** ADD of local tars: unpack what is one. */
  readonly unpack: boolean
  /** Symbolic links named by a source are followed (COPY of a link copies what it leads to). */
  readonly follow: boolean
  /** Each source must match something. */
  readonly required: boolean
}

export interface MakeFileAction {
  readonly type: "file"
  readonly path: string
  /** File name that it gets beneath `path` when that is a directory in the root (COPY <<EOF /etc); absent = `path` is the file. */
  readonly nameInDirectory?: string
  readonly content: Uint8Array
  readonly owner: string
  readonly mode: number | string | undefined
}

export interface MakeDirectoryAction {
  readonly type: "directory"
  readonly path: string
  readonly owner: string
  readonly mode: number
}

export interface FileNode extends Common {
  readonly type: "file"
  readonly root: Input
  /** Its layer is made without looking at the root (--link), and stays the same on another base. */
  readonly independent: boolean
  readonly actions: readonly (CopyAction | MakeFileAction | MakeDirectoryAction)[]
}

export type Node = ImageNode | ContextNode | GitNode | HttpNode | ExecNode | FileNode

export interface ResolvedImage {
  /** Of the manifest at the registry or the image id when it is local. */
  readonly digest: string
  readonly config: ConfigDocument
  /** It is in the local store under `imageId`; "" = it must be pulled when its node runs. */
  readonly imageId: string
  /** Digest of the one manifest for the platform, where `digest` is an index that leads to it. */
  readonly manifest?: string
}

/** What the graph needs to know of base images; asked at most once for the same image and platform. */
export type ResolveImage = (reference: string, platform: Platform) => Promise<ResolvedImage>

/** A step of a stage as history and progress count it: with a node when it makes a layer, without when it only changes the config. */
export interface StageStep {
  /** created_by of the history in BuildKit's words: "RUN /bin/sh -c make # buildkit", "ENV A=b". */
  readonly createdBy: string
  /**
   * In the classic builder's words: "/bin/sh -c make", "/bin/sh -c #(nop)  ENV A=b". `copiedContent` (history-texts.ts) in it stands
   * for what was copied: put "file:", "dir:" or "multi:" and its digest in hex there when it is known.
   */
  readonly classicCreatedBy: string
  /** The instruction as the classic builder announces it: "RUN make". */
  readonly original: string
  readonly node?: Node
  /** Config after this step. */
  readonly config: ConfigDocument["config"]
}

/** The wanted stage for one platform. */
export interface GraphResult {
  readonly platform: Platform
  readonly node: Input
  readonly base?: ResolvedImage
  /** From the base on, in order; those of stages that it is FROM come first. */
  readonly steps: readonly StageStep[]
  /** Whole config: platform, author, execution part; diffIds and history are filled in when the layers are known. */
  readonly config: Omit<ConfigDocument, "document" | "diffIds" | "history">
}

export interface Graph {
  readonly results: readonly GraphResult[]
  /** The Dockerfile's instructions with the nodes that they became, of the first platform: the "plan" event of progress. */
  readonly plan?: { readonly globalArgs: readonly string[]; readonly stages: readonly ToldStage[] }
  readonly findings: readonly {
    readonly rule: string
    readonly message: string
    readonly place: { readonly first: number; readonly last: number }
  }[]
  /** Paths of the main context that are needed at all, as patterns for a sync; undefined = everything. */
  readonly neededPaths?: readonly string[]
  /** The same for named contexts that are used, by name; undefined as a value = everything. */
  readonly neededPathsOf: ReadonlyMap<string, readonly string[] | undefined>
  /** --build-arg names that no ARG declares, sorted. */
  readonly unusedArguments: readonly string[]
}
