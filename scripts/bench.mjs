// npm run bench: installs the peers where Debian has them, builds, and measures every promise side by side.
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { makeBaseImage } from "./base-image.mjs"
import { build } from "./build.mjs"
import {
  bun,
  ensureDependencies,
  has,
  installPackages,
  projectRoot,
  requireLinux,
  requireNode,
  requireRoot,
} from "./sentences.mjs"

requireLinux()
requireNode()
requireRoot("The bench")
ensureDependencies()
if (!has("dockerd")) installPackages(["docker.io"])
if (!has("podman")) installPackages(["podman"])
if (!has("docker-registry")) installPackages(["docker-registry"])
if (!has("dnsperf")) installPackages(["dnsperf"])
build()
makeBaseImage(join(projectRoot, ".cache", "busybox.tar"))
process.exitCode =
  spawnSync(bun, [join("bench", "main.ts"), ...process.argv.slice(2)], { cwd: projectRoot, stdio: "inherit" })
    .status ?? 1
