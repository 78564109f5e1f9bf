// What a layer's tar amounts to: every entry applied in order, with the rules of the launcher's unpack, in memory only.
// Names are resolved in this tree and nowhere else.
import { isOverlayAttribute, opaqueAttribute, writeAttributes } from "./attributes.ts"
import { fileType, type InodeSource, Inodes } from "./inodes.ts"
import { Names } from "./names.ts"
import type { Attribute } from "./pax.ts"
import type { Extent } from "./sparse.ts"
import { type LayerEntry, refusal, shown } from "./tar-scan.ts"

export const rootInode = 0
const longestPath = 4096
const longestName = 255
const mostLinks = 40

const types: Readonly<Record<Exclude<LayerEntry["kind"], "hardlink">, number>> = {
  file: fileType.file,
  symlink: fileType.symlink,
  character: fileType.character,
  block: fileType.block,
  directory: fileType.directory,
  fifo: fileType.fifo,
}

/** A name of the archive without leading slash, ".", ".." and doubled slashes; "" is the root. */
export const cleanName = (name: string): string | undefined => {
  // Most names are clean.
  if (!/^\/|\/\/|(^|\/)\.\.?(\/|$)|\/$/.test(name)) return name
  const parts: string[] = []
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue
    if (part !== "..") parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.join("/")
}

/** A device's number as mknod keeps it: 12 bits of major, 20 of minor. */
const deviceNumber = (major: number, minor: number): number =>
  (((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0) as number

export class LayerTree {
  readonly inodes = new Inodes()
  readonly names = new Names()
  readonly targets = new Map<number, string>()
  readonly attributes = new Map<number, readonly Attribute[]>()
  /** Pieces of sparse files. */
  readonly extents = new Map<number, readonly Extent[]>()
  /** Bytes of the files, as they are stored. */
  bytes = 0
  /** Time of directories that the tar does not describe. */
  readonly #now: InodeSource["mtime"]
  #describesTop = false
  #parentPath: string | undefined
  #parent = rootInode

  /** `now`: the time of directories that the tar does not describe. */
  constructor(now: InodeSource["mtime"]) {
    this.#now = now
    this.inodes.add({ mode: fileType.directory | 0o755, uid: 0, gid: 0, mtime: now })
    this.inodes.links[rootInode] = 1
  }

  /** To be called at the end: what the root directory is unless the tar said so. */
  finishTop(top: Omit<InodeSource, "mtime">): void {
    if (this.#describesTop) return
    const mode = fileType.directory | (top.mode & 0o7777)
    this.inodes.set(rootInode, { ...top, mode, mtime: this.#now })
  }

  /** Throws Failure "invalid" for what unpacking would refuse. Gives the inode of a file with bytes of its own. */
  apply(entry: LayerEntry): number | undefined {
    const clean = cleanName(entry.name)
    if (clean === undefined) throw this.#refused(entry.name, "an entry's name leads out of the destination")
    if (clean.length + 1 >= longestPath) throw this.#refused(clean, "an entry's name is too long")
    if (this.#whiteout(clean)) return undefined
    const overlays = entry.attributes.find(({ name }) => isOverlayAttribute(name))
    if (overlays !== undefined)
      throw this.#refused(
        clean,
        `it carries the attribute "${shown(overlays.name)}", which only the engine may set`,
      )
    if (entry.kind === "character" && entry.major === 0 && entry.minor === 0)
      throw this.#refused(clean, "the character device 0:0 would be taken for a whiteout")
    if (clean === "") {
      if (entry.kind !== "directory")
        throw this.#refused(entry.name, `only a directory can have the name "${shown(entry.name)}"`)
      this.#dress(rootInode, entry)
      this.#describesTop = true
      return undefined
    }
    return this.#place(entry, clean)
  }

  #place(entry: LayerEntry, clean: string): number | undefined {
    let wasWhiteout = false
    for (;;) {
      const { directory, name } = this.#parentOf(clean)
      const target = entry.kind === "hardlink" ? this.#linkTarget(entry, clean) : undefined
      const there = this.names.find(directory, name)
      if (there !== undefined && there === target) return undefined
      if (there === undefined) {
        if (target !== undefined) {
          if (this.inodes.isDirectory(target))
            throw this.#refused(
              clean,
              `it cannot be linked to "${shown(entry.link)}": Operation not permitted`,
            )
          this.#enter(directory, name, target)
          return undefined
        }
        const inode = this.#make(entry, directory, name, clean)
        if (entry.kind === "directory" && wasWhiteout) this.#setOpaque(inode)
        return entry.kind === "file" ? inode : undefined
      }
      if (entry.kind === "directory" && this.inodes.isDirectory(there)) {
        this.#dress(there, entry)
        return undefined
      }
      wasWhiteout ||= this.#isWhiteout(there)
      this.#remove(directory, name, there)
    }
  }

  #make(entry: LayerEntry, directory: number, name: string, clean: string): number {
    if (entry.kind === "hardlink") throw this.#refused(clean, "it cannot be linked")
    if (entry.kind === "symlink" && (entry.link === "" || entry.link.length >= longestPath))
      throw this.#refused(
        clean,
        `it cannot be created: ${entry.link === "" ? "No such file or directory" : "File name too long"}`,
      )
    const inode = this.inodes.add({ mode: types[entry.kind], uid: 0, gid: 0, mtime: [0, 0] })
    this.#enter(directory, name, inode)
    this.#dress(inode, entry)
    if (entry.kind === "symlink") this.targets.set(inode, entry.link)
    if (entry.kind === "character" || entry.kind === "block")
      this.inodes.place[inode] = deviceNumber(entry.major, entry.minor)
    if (entry.kind !== "file") return inode
    this.bytes += entry.stored
    this.inodes.size[inode] = entry.size
    this.inodes.place[inode] = entry.start
    if (entry.extents !== undefined) this.extents.set(inode, entry.extents)
    return inode
  }

  /** Owner, mode, attributes and time of the entry; attributes that are there already stay. */
  #dress(inode: number, entry: LayerEntry): void {
    const type = this.inodes.typeOf(inode)
    const permissions = type === fileType.symlink ? 0o777 : entry.mode
    let mode = type | permissions
    if (entry.attributes.length > 0) {
      const written = writeAttributes(this.attributes.get(inode) ?? [], entry.attributes, mode)
      mode = written.mode
      this.attributes.set(inode, written.attributes)
    }
    this.inodes.set(inode, { ...entry, mode })
  }

  #enter(directory: number, name: string, inode: number): void {
    if (name.length > longestName) throw this.#refused(name, "it cannot be created: File name too long")
    this.names.add(directory, name, inode)
    this.inodes.links[inode] = (this.inodes.links[inode] ?? 0) + 1
  }

  #remove(directory: number, name: string, inode: number): void {
    const type = this.inodes.typeOf(inode)
    // The way to the last entry's directory may have led through it.
    if (type === fileType.directory || type === fileType.symlink) this.#parentPath = undefined
    const doomed: [number, string, number][] = [[directory, name, inode]]
    for (let next = doomed.pop(); next !== undefined; next = doomed.pop()) {
      const [parent, last, victim] = next
      this.names.remove(parent, last)
      const left = (this.inodes.links[victim] ?? 1) - 1
      this.inodes.links[victim] = left
      if (left > 0) continue
      if (this.inodes.isDirectory(victim))
        for (const entry of this.names.list(victim))
          doomed.push([victim, this.names.nameOf(entry), this.names.inodeOf(entry)])
      this.targets.delete(victim)
      this.attributes.delete(victim)
      this.extents.delete(victim)
    }
  }

  /** The inode of a hard link's target, whose own last name is never followed. */
  #linkTarget(entry: LayerEntry, clean: string): number {
    const refused = (why: string) =>
      this.#refused(clean, `it cannot be linked to "${shown(entry.link)}": ${why}`)
    const target = cleanName(entry.link)
    if (target === undefined || target === "") throw refused("that is outside of the destination")
    const slash = target.lastIndexOf("/")
    const parent = this.#resolve(slash < 0 ? "" : target.slice(0, slash), false)
    const inode = parent === undefined ? undefined : this.names.find(parent, target.slice(slash + 1))
    if (inode === undefined) throw refused("No such file or directory")
    return inode
  }

  #parentOf(clean: string): { directory: number; name: string } {
    const slash = clean.lastIndexOf("/")
    const path = slash < 0 ? "" : clean.slice(0, slash)
    const name = clean.slice(slash + 1)
    if (path === this.#parentPath) return { directory: this.#parent, name }
    const directory = this.#resolve(path, true)
    if (directory === undefined) throw this.#refused(clean, "its directory cannot be opened")
    this.#parentPath = path
    this.#parent = directory
    return { directory, name }
  }

  /**
   * Follows a path in this tree, symbolic links included; ".." of the root is the root. With `make` missing directories
   * are made, also those a dangling link leads to; without it undefined says that something is missing.
   */
  #resolve(path: string, make: boolean): number | undefined {
    const stack = [rootInode]
    const todo = path === "" ? [] : path.split("/").toReversed()
    let links = 0
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      const directory = stack.at(-1) ?? rootInode
      if (part === "" || part === ".") continue
      if (part === "..") {
        if (stack.length > 1) stack.pop()
        continue
      }
      const found = this.names.find(directory, part)
      if (found === undefined) {
        if (!make) return undefined
        stack.push(this.#makeDirectory(directory, part))
        continue
      }
      const target = this.targets.get(found)
      if (target === undefined) {
        if (!this.inodes.isDirectory(found))
          throw this.#refused(path, "its directory cannot be opened: Not a directory")
        stack.push(found)
        continue
      }
      if (++links > mostLinks)
        throw this.#refused(path, "its directory cannot be opened: Too many levels of symbolic links")
      if (target.startsWith("/")) stack.length = 1
      todo.push(...target.split("/").toReversed())
    }
    return stack.at(-1)
  }

  #makeDirectory(parent: number, name: string): number {
    // As mkdir does in a directory with the set-group-id bit.
    const inherits = ((this.inodes.mode[parent] ?? 0) & 0o2000) !== 0
    const inode = this.inodes.add({
      mode: fileType.directory | (inherits ? 0o2755 : 0o755),
      uid: 0,
      gid: inherits ? (this.inodes.gid[parent] ?? 0) : 0,
      mtime: this.#now,
    })
    this.#enter(parent, name, inode)
    return inode
  }

  /** Whether the name was a whiteout, which is then dealt with. */
  #whiteout(clean: string): boolean {
    if (!clean.includes(".wh.")) return false
    const parts = clean.split("/")
    const last = parts.pop() ?? ""
    for (const part of parts) {
      if (part.startsWith(".wh..wh.")) return true // aufs's own directories
      if (part.startsWith(".wh."))
        throw this.#refused(clean, `a whiteout cannot be a directory: "${shown(clean)}"`)
    }
    if (!last.startsWith(".wh.")) return false
    const opaque = last === ".wh..wh..opq"
    const hidden = last.slice(4)
    if (!opaque && hidden.startsWith(".wh.")) return true
    if (!opaque && (hidden === "" || hidden === "." || hidden === ".."))
      throw this.#refused(clean, `the whiteout "${shown(clean)}" names nothing that can be hidden`)
    const { directory } = this.#parentOf(clean)
    if (opaque) this.#setOpaque(directory)
    else this.#hide(directory, hidden)
    return true
  }

  /** The name becomes a whiteout, unless this layer has made it: then only what is beneath it in older layers is hidden. */
  #hide(directory: number, name: string): void {
    const there = this.names.find(directory, name)
    if (there !== undefined) {
      if (this.inodes.isDirectory(there)) this.#setOpaque(there)
      return
    }
    const inode = this.inodes.add({ mode: fileType.character, uid: 0, gid: 0, mtime: [0, 0] })
    this.#enter(directory, name, inode)
  }

  #isWhiteout(inode: number): boolean {
    return this.inodes.typeOf(inode) === fileType.character && this.inodes.place[inode] === 0
  }

  #setOpaque(inode: number): void {
    const others = (this.attributes.get(inode) ?? []).filter(({ name }) => name !== opaqueAttribute.name)
    this.attributes.set(inode, [...others, opaqueAttribute])
  }

  #refused(name: string, why: string) {
    return refusal(`${why}${name === "" ? "" : ` (${shown(name)})`}`)
  }
}
