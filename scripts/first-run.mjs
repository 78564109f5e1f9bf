// npm start: from a fresh clone to a container that serves a page, and what to type next.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { makeBaseImage } from "./base-image.mjs"
import { build } from "./build.mjs"
import {
  projectRoot,
  requireCompiler,
  requireDisk,
  requireLinux,
  requireNode,
  requireRoot,
  stop,
} from "./sentences.mjs"

const image = "busybox:latest"
const container = "hello-sloop"
const page = "<h1>Hello from a container</h1>"

const say = (line) => console.log(line)
const step = (line) => process.stdout.write(`${line} … `)
const done = (since, what = "") =>
  say(`${what}${what ? ", " : ""}${((performance.now() - since) / 1000).toFixed(1)} s`)

function sloop(...args) {
  const result = spawnSync(join(projectRoot, "dist", "sloop"), args, { encoding: "utf8" })
  if (result.error) stop(`dist/sloop could not be started: ${result.error.message}`)
  return result
}

function mustSloop(...args) {
  const result = sloop(...args)
  if (result.status !== 0) stop(`"sloop ${args.join(" ")}" failed: ${result.stderr.trim()}`)
  return result.stdout.trim()
}

function buildAll() {
  step(
    existsSync(join(projectRoot, "node_modules"))
      ? "Building the launcher and dist/sloop"
      : "Installing pinned dependencies and building dist/sloop",
  )
  const since = performance.now()
  build()
  done(since)
}

function startDaemon() {
  step("Starting the daemon")
  const since = performance.now()
  const version = mustSloop("version", "--format", "{{.Server.Version}}")
  done(since, `version ${version}`)
}

function getImage() {
  if (sloop("image", "inspect", image).status === 0) return say(`Image ${image} is here already.`)
  step(`Making the image ${image} from Debian's busybox-static`)
  const since = performance.now()
  mustSloop(
    "import",
    "--change",
    'CMD ["sh"]',
    makeBaseImage(join(projectRoot, ".cache", "busybox.tar")),
    image,
  )
  done(since)
}

async function servePage() {
  sloop("rm", "--force", container)
  const serve = `mkdir -p /www && echo '${page}' > /www/index.html && exec httpd -f -h /www`
  const args = [
    "run",
    "--detach",
    "--name",
    container,
    "--publish",
    "127.0.0.1::80",
    image,
    "sh",
    "-c",
    serve,
  ]
  say(`$ sloop ${args.map((word) => (/[ '"]/.test(word) ? JSON.stringify(word) : word)).join(" ")}`)
  const since = performance.now()
  say(mustSloop(...args).slice(0, 12))
  const address = mustSloop("port", container, "80").split("\n")[0]
  const text = await fetchPage(`http://${address}/`)
  say(`$ curl http://${address}/\n${text.trim()}`)
  say(`(from command to page: ${Math.round(performance.now() - since)} ms)`)
  return address
}

async function fetchPage(url) {
  let problem
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      const response = await fetch(url)
      if (response.ok) return await response.text()
      problem = new Error(`HTTP ${response.status}`)
    } catch (error) {
      problem = error.cause ?? error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return stop(
    `the container's page at ${url} did not answer: ${problem.message}; its log:\n${sloop("logs", container).stdout}`,
  )
}

requireLinux()
requireNode()
requireRoot("Sloop")
requireCompiler()
requireDisk("/var/lib", 300)
buildAll()
startDaemon()
getImage()
const address = await servePage()
const next = [
  ["dist/sloop ps", "what runs"],
  [`dist/sloop run --rm -it ${image} sh`, "a shell in a container of your own"],
  [`dist/sloop exec ${container} ps`, "look into the running one"],
  ["docker -H unix:///run/sloop/sloop.sock ps", "the docker client works unchanged"],
  [`curl http://${address}/`, "the page again"],
  [`dist/sloop rm --force ${container}`, "stop and remove it"],
]
const width = Math.max(...next.map(([command]) => command.length))
say("\nA real container runs. What to type next:")
for (const [command, what] of next) say(`  ${command.padEnd(width)}   ${what}`)
