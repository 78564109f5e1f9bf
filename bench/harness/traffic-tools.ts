// Debian's nginx, iperf3 and wrk as an image for both engines, and on this host with their own libraries.
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"

const cache = join(import.meta.dirname, "..", "..", ".cache")
const archive = join(cache, "traffic-tools.tar")
const machine = process.arch === "arm64" ? "aarch64" : "x86_64"
const root = join(cache, "traffic-tools")

/** The image's archive, made once; undefined where Debian's packages cannot be had. */
export const trafficTools = (): string | undefined => {
  if (existsSync(archive) && existsSync(root)) return archive
  mkdirSync(cache, { recursive: true })
  // The name's end tells mmdebstrap what to make.
  const fresh = archive.replace(/tar$/, "new.tar")
  const words = ["--variant=extract", "--include=iperf3,wrk,nginx,busybox-static", "bookworm", fresh]
  if (spawnSync("mmdebstrap", words, { stdio: "ignore" }).status !== 0) return undefined
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root)
  if (spawnSync("tar", ["-xf", fresh, "-C", root, "--exclude=./dev/*"]).status !== 0) return undefined
  renameSync(fresh, archive)
  return archive
}

/** Runs a command to its end and gives what it wrote; throws with its standard error when it fails. */
export const output = (...words: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"] })
    let [text, problem] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.stderr.on("data", (chunk: Buffer) => {
      problem += chunk.toString()
    })
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0
        ? resolve(text)
        : reject(new Error(`${words.join(" ")} ended with ${code}: ${problem}${text}`)),
    )
  })

/** A tool of the image, run on this host. */
export const onHost = (tool: string, ...words: readonly string[]): Promise<string> =>
  output(
    "env",
    `LD_LIBRARY_PATH=${join(root, "usr", "lib", `${machine}-linux-gnu`)}`,
    join(root, "usr", "bin", tool),
    ...words,
  )

/** What a container runs to serve one short answer at port 80. */
export const nginx: readonly string[] = [
  "/bin/busybox",
  "sh",
  "-c",
  `b=/bin/busybox; $b mkdir -p /var/log/nginx /var/lib/nginx /run; echo root:x:0:0::/: >/etc/passwd; echo root:x:0: >/etc/group
   echo 'daemon off; user root; worker_processes 1; events {} http { access_log off; keepalive_requests 1000000; server { listen 80; return 200 ok; } }' >/n.conf
   exec nginx -c /n.conf`,
]
