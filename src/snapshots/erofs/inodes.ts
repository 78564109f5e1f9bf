// The inodes of a layer in columns, because a layer may have a million of them.

export const fileType = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const
export const typeMask = 0o170000

export interface InodeSource {
  /** Type and permissions. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: readonly [seconds: number, nanoseconds: number]
}

const grown = <T extends Uint16Array | Uint32Array | Float64Array>(old: T, larger: T): T => {
  larger.set(old)
  return larger
}

export class Inodes {
  count = 0
  mode = new Uint16Array(1024)
  uid = new Uint32Array(1024)
  gid = new Uint32Array(1024)
  seconds = new Float64Array(1024)
  nanoseconds = new Uint32Array(1024)
  links = new Uint32Array(1024)
  /** Bytes of a file, zero for others. */
  size = new Float64Array(1024)
  /** Files: byte in the tar where their bytes begin. Devices: the number as the disk format has it. */
  place = new Float64Array(1024)

  add(source: InodeSource): number {
    if (this.count === this.mode.length) this.#grow()
    const inode = this.count++
    this.set(inode, source)
    return inode
  }

  set(inode: number, { mode, uid, gid, mtime: [seconds, nanoseconds] }: InodeSource): void {
    this.mode[inode] = mode
    this.uid[inode] = uid
    this.gid[inode] = gid
    this.seconds[inode] = seconds
    this.nanoseconds[inode] = nanoseconds
  }

  typeOf(inode: number): number {
    return (this.mode[inode] ?? 0) & typeMask
  }

  isDirectory(inode: number): boolean {
    return this.typeOf(inode) === fileType.directory
  }

  #grow(): void {
    const room = this.mode.length * 2
    this.mode = grown(this.mode, new Uint16Array(room))
    this.uid = grown(this.uid, new Uint32Array(room))
    this.gid = grown(this.gid, new Uint32Array(room))
    this.seconds = grown(this.seconds, new Float64Array(room))
    this.nanoseconds = grown(this.nanoseconds, new Uint32Array(room))
    this.links = grown(this.links, new Uint32Array(room))
    this.size = grown(this.size, new Float64Array(room))
    this.place = grown(this.place, new Float64Array(room))
  }
}
