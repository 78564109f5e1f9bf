// Makes a base image's root file system from Debian's busybox-static: a tar that `docker import` and `sloop import` take.
//   node scripts/base-image.mjs OUT.tar
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { installPackages, stop } from "./sentences.mjs"

const files = {
  "etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
  "etc/group":
    "root:x:0:\ndaemon:x:1:\nadm:x:4:daemon\naudio:x:29:nobody\nwww-data:x:33:\nnogroup:x:65534:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
const directories = [
  "bin",
  "dev",
  "etc",
  "home",
  "proc",
  "root",
  "sys",
  "tmp",
  "usr/bin",
  "usr/sbin",
  "var/spool/mail",
  "var/www",
]

/** The path of a static busybox that can live in an image; installs Debian's package when it is missing. */
function findBusybox() {
  const places = ["/bin/busybox", "/usr/bin/busybox"]
  const isStatic = (path) => existsSync(path) && !readsLoader(path)
  const found = places.find(isStatic)
  if (found) return found
  installPackages(["busybox-static"])
  return (
    places.find(isStatic) ??
    stop("no static busybox was found to make a base image of; install Debian's busybox-static package.")
  )
}

/** Whether an ELF file asks for a dynamic loader (has a PT_INTERP program header). */
function readsLoader(path) {
  const bytes = readFileSync(path)
  const [start, size, count] = [
    Number(bytes.readBigUInt64LE(32)),
    bytes.readUInt16LE(54),
    bytes.readUInt16LE(56),
  ]
  for (let index = 0; index < count; index++) if (bytes.readUInt32LE(start + index * size) === 3) return true
  return false
}

/** Writes the tar to `out` (made once, names sorted, times fixed: the same bytes each time). */
export function makeBaseImage(out) {
  const busybox = findBusybox()
  const root = mkdtempSync(join(tmpdir(), "sloop-base-"))
  try {
    for (const directory of directories) mkdirSync(join(root, directory), { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text)
    chmodSync(root, 0o755) // mkdtemp made it 0700, and it becomes the image's /
    chmodSync(join(root, "tmp"), 0o1777)
    chmodSync(join(root, "root"), 0o700)
    copyFileSync(busybox, join(root, "bin/busybox"))
    chmodSync(join(root, "bin/busybox"), 0o755)
    const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n")
    for (const applet of applets) if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet))
    mkdirSync(dirname(out), { recursive: true })
    execFileSync("tar", [
      "--sort=name",
      "--mtime=@1700000000",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "-C",
      root,
      "-cf",
      out,
      ".",
    ])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
  return out
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(makeBaseImage(process.argv[2] ?? ".cache/busybox.tar"))
