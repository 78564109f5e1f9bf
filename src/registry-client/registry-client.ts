// Contract. Registries as a client sees them (OCI distribution 1.1, Docker v2): what it takes to read and write one repository.
import type { Descriptor } from "../oci/descriptor.ts"
import type { Index } from "../oci/index.ts"
import type { Reference } from "../oci/reference.ts"

/** What proves who asks; "" where there is nothing. */
export interface Credentials {
  readonly username: string
  readonly password: string
  /** A refresh token that a login gave, instead of a password. */
  readonly identityToken: string
  /** A bearer token to be sent as it is. */
  readonly registryToken: string
}

export const anonymous: Credentials = { username: "", password: "", identityToken: "", registryToken: "" }

/** Waiting times in milliseconds, and how often something is tried. */
export interface Timing {
  /** Until a connection stands and its answer begins. */
  readonly answer: number
  /** Without a byte in the middle of an answer. */
  readonly stall: number
  /** Tries of one request, and tries in a row that bring nothing of a blob. */
  readonly attempts: number
  /** Before the second try; it doubles from there. */
  readonly firstPause: number
  /** A registry that asks for a longer pause is not waited for. */
  readonly longestPause: number
}

export interface RegistryOptions {
  /** "https://host[:port]" of mirrors of docker.io, asked before it. */
  readonly mirrors: readonly string[]
  /** "host", "host:port" or a subnet: plain HTTP and unproven certificates are accepted there, as on loopback. */
  readonly insecure: readonly string[]
  /** Directories of HOST[:PORT]/{*.crt,*.cert,*.key}, as docker's certs.d. */
  readonly certificates: readonly string[]
  readonly timing?: Partial<Timing>
  /** Sent as User-Agent. */
  readonly agent: string
}

/** A manifest or an index: bytes whose digest has been checked. */
export interface RemoteDocument {
  readonly bytes: Uint8Array
  /** As the registry and the document say; never "". */
  readonly mediaType: string
  readonly digest: string
}

/** Bytes that can be read again from any place. */
export interface UploadSource {
  readonly digest: string
  readonly size: number
  open(from: number): AsyncIterable<Uint8Array>
}

/** One repository at a registry. Failures name registry, repository and step. */
export interface RemoteRepository {
  /** "busybox", "registry.example:5000/team/app" */
  readonly name: string
  /** What a tag or digest names, without its bytes; undefined when the registry does not tell it that way. Throws as `document`. */
  look(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined>
  /** The document of a tag or digest. Throws not-found in Docker's words, "invalid" for what is no manifest. */
  document(reference: string, signal?: AbortSignal): Promise<RemoteDocument>
  /**
   * A blob's bytes from `from` on, resumed after a cut. As many as the descriptor says, or it throws; their digest is
   * the reader's to check.
   */
  blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  tags(signal?: AbortSignal): Promise<string[]>
  hasBlob(digest: string, signal?: AbortSignal): Promise<boolean>
  /** Uploads a blob, or mounts it from one of the repositories (paths of the same registry) that may have it. */
  putBlob(
    source: UploadSource,
    options: { from: readonly string[]; progress?: (bytes: number) => void; signal?: AbortSignal },
  ): Promise<{ mountedFrom?: string }>
  /** Stores a document under a tag or its digest. Tells whether the registry lists it as a referrer by itself. */
  putDocument(
    reference: string,
    document: { bytes: Uint8Array; mediaType: string },
    signal?: AbortSignal,
  ): Promise<{ digest: string; listsReferrers: boolean }>
  deleteDocument(reference: string, signal?: AbortSignal): Promise<void>
  /** What refers to a manifest (signatures, attestations), by the API or by the tag that stands in for it. */
  referrers(digest: string, artifactType?: string, signal?: AbortSignal): Promise<Index>
}

export interface FoundRepository {
  readonly name: string
  readonly description: string
  readonly stars: number
  readonly official: boolean
}

export interface Registries {
  repository(
    reference: Pick<Reference, "domain" | "path">,
    access: { readonly actions: "pull" | "pull,push"; readonly credentials?: Credentials | undefined },
  ): RemoteRepository
  /** Proves credentials to a registry. Gives the identity token that may stand in for the password from now on, or "". */
  login(domain: string, credentials: Credentials, signal?: AbortSignal): Promise<{ identityToken: string }>
  /** Repositories with a word in their name. Throws not-implemented where the registry offers no search. */
  search(
    domain: string,
    term: string,
    options: { limit: number; credentials?: Credentials | undefined },
    signal?: AbortSignal,
  ): Promise<FoundRepository[]>
  /** How registries are reached, for info. */
  readonly options: RegistryOptions
}

export { type CopyRequest, type CopyStep, copyImage } from "./copy.ts"
export { openRegistries } from "./open.ts"
