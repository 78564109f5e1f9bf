// sloop context export, sloop context import: docker's archives of meta.json and tls/docker/*.pem
import { createReadStream, existsSync, writeFileSync } from "node:fs"
import { errorMessage, failure } from "../../../base/errors.ts"
import { blockSize } from "../../../base/tar-header.ts"
import { readTar } from "../../../base/tar-reader.ts"
import { writeTar } from "../../../base/tar-writer.ts"
import { configDirectoryOf } from "../../contexts/choose.ts"
import {
  checkName,
  findContext,
  getContext,
  type Meta,
  saveContext,
  type TlsFiles,
  tlsFilesOf,
} from "../../contexts/store.ts"
import { readStandardInput } from "../../input.ts"
import type { Verb } from "../../verb.ts"

const most = 10 * 1024 * 1024 // bytes of a file in such an archive

async function archiveOf(meta: Meta, tls: TlsFiles): Promise<Buffer> {
  const files = Object.entries(tls).map(
    ([name, text]) =>
      ({ name: `tls/docker/${name}`, type: "file", mode: 0o600, body: Buffer.from(text) }) as const,
  )
  const entries = [
    { name: "meta.json", type: "file", mode: 0o644, body: Buffer.from(JSON.stringify(meta)) } as const,
    { name: "tls", type: "directory", mode: 0o700 } as const,
    ...(files.length > 0 ? [{ name: "tls/docker", type: "directory", mode: 0o700 } as const] : []),
    ...files,
  ]
  const chunks: Uint8Array[] = []
  for await (const chunk of writeTar(entries)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export const exported: Verb = {
  usage: "CONTEXT [FILE|-]",
  summary: "Export a context to a tar archive FILE or a tar stream on STDOUT.",
  flags: [],
  interspersed: true,
  least: 1,
  most: 2,
  async run(context, parsed) {
    const config = configDirectoryOf(context.env)
    const [name = "", file = `${name}.dockercontext`] = parsed.arguments
    checkName(name)
    const archive = await archiveOf(getContext(config, name), tlsFilesOf(config, name))
    if (file === "-") {
      if (context.out.isTTY)
        throw failure("invalid", "cowardly refusing to export to a terminal, specify a file path")
      await context.out.write(archive)
      return 0
    }
    try {
      writeFileSync(file, archive, { mode: 0o600, flag: "wx" })
    } catch (cause) {
      throw failure("invalid", `cannot write ${file}: ${errorMessage(cause)}`, { cause })
    }
    context.warn(`Written file "${file}"`)
    return 0
  },
}

const wrong = (message: string) => failure("invalid", `cannot import the context: ${message}`)

/** Docker's client leaves out the end of its archives, and the padding of the last file. */
async function* padded(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of input) {
    size += chunk.length
    yield chunk
  }
  yield new Uint8Array((blockSize - (size % blockSize)) % blockSize)
  yield new Uint8Array(2 * blockSize)
}

async function readArchive(input: AsyncIterable<Uint8Array>): Promise<{ meta: Meta; tls: TlsFiles }> {
  let meta: Meta | undefined
  const tls: Partial<Record<keyof TlsFiles, string>> = {}
  for await (const entry of readTar(padded(input))) {
    if (entry.type === "directory") continue
    const chunks: Uint8Array[] = []
    if (entry.size > most) throw wrong(`${entry.name} is too large`)
    for await (const chunk of entry.body) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString("utf8")
    const pem = /^tls\/docker\/(ca|cert|key)\.pem$/.exec(entry.name)?.[1]
    if (entry.name === "meta.json") meta = JSON.parse(text) as Meta
    else if (pem) tls[`${pem as "ca" | "cert" | "key"}.pem`] = text
    else throw wrong(`unexpected context file ${entry.name}`)
  }
  if (!meta) throw wrong("invalid context: no metadata found")
  return { meta, tls }
}

export const imported: Verb = {
  usage: "CONTEXT FILE|-",
  summary: "Import a context from a tar file",
  flags: [],
  interspersed: true,
  least: 2,
  most: 2,
  async run(context, parsed) {
    const config = configDirectoryOf(context.env)
    const [name = "", file = ""] = parsed.arguments
    checkName(name)
    if (findContext(config, name)) throw failure("conflict", `context "${name}" already exists`)
    if (file !== "-" && !existsSync(file))
      throw failure("not-found", `open ${file}: no such file or directory`)
    const { meta, tls } = await readArchive(file === "-" ? readStandardInput() : createReadStream(file))
    saveContext(config, { ...meta, Name: name }, tls)
    context.print(name)
    context.warn(`Successfully imported context "${name}"`)
    return 0
  },
}
