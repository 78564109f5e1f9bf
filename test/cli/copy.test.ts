// Every form of cp, with docker and with sloop: the same files, modes, owners, sentences and exit codes.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { execute, startEngine } from "../fixtures/engine.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)
const host = join(engine.work, "host")
const project = join(import.meta.dirname, "..", "..")
const binary = process.env.SLOOP_BIN
const programs = {
  docker: "docker",
  sloop: binary ?? `${join(project, "node_modules/.bin/bun")} ${join(project, "src/main.ts")}`,
}

beforeAll(async () => {
  await engine.ok("run", "-d", "--name", "cpc", "busybox", "sleep", "1000")
  const inside =
    'mkdir -p /d/sub /w; echo 1 >/d/a; echo 2 >/d/sub/b; echo f >/f; ln -s /d /ld; ln -s a /d/la; ln -s /f /lf; ln -s /nowhere /broken; chmod 4755 /f; chown 1000:1000 /d/a; touch -d "2001-01-01" /d/a'
  await engine.ok("exec", "cpc", "sh", "-c", inside)
  mkdirSync(host)
  await execute([
    ...["sh", "-c"],
    `cd ${host}; mkdir -p hd/sub hempty; echo h1 >hd/a; echo h2 >hd/sub/b; echo hf >hf; ln -s hd lhd; ln -s hf lhf; ln -s nope hbroken
     chmod 600 hf; ln -s a hd/la; touch "sp ace"; echo dash > ./-dash; echo col > a:b`,
  ])
}, 30_000)

const both = async (play: (program: string) => Promise<string>) => {
  const expected = await play(programs.docker)
  expect(await play(programs.sloop)).toBe(expected)
}

const shell = async (line: string) => {
  const { stdout, stderr, code } = await execute(["bash", "-c", line], { env: engine.env })
  // The docker client's own alarm when it stops reading its tar; comes or not as it happens.
  const words = stderr.replace(/^time=.*level=error.*closed pipe"\n/gm, "")
  return `${stdout}${words}exit code ${code}`
}

const outward = `
cpc:/f .
cpc:/f new
cpc:/f file
cpc:/f dir
cpc:/f dir/
cpc:/f dir/new
cpc:/f nodir/new
cpc:/f new/
cpc:/f file/
cpc:/d .
cpc:/d new
cpc:/d/ new
cpc:/d new/
cpc:/d/. new
cpc:/d/. dir
cpc:/d dir
cpc:/d file
cpc:/d/. file
cpc:/d nodir/new
cpc:/ld .
cpc:/ld/ new
cpc:/ld/. new
-L cpc:/ld new
-L cpc:/lf new
cpc:/lf new
cpc:/lf .
cpc:/broken .
-L cpc:/broken .
cpc:/nope .
cpc:/f/ .
cpc:f rel
-a cpc:/d new
-q cpc:/f new
cpc: x
nope:/f x`

for (const words of outward.trim().split("\n"))
  test(`out of a container: cp ${words}`, () =>
    both(async (program) => {
      const directory = join(engine.work, "out")
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(join(directory, "dir"), { recursive: true })
      const list =
        "find . -printf '%P %y %m %l %s %U %T@\\n' | grep -v '^ d\\|^dir d\\|^file f 644\\|^new d' | sort"
      return shell(`cd ${directory}; echo old >file; ${program} cp ${words}; echo exit code $?; ${list}`)
    }))

const inward = `
hf cpc:/w
hf cpc:/w/
hf cpc:/w/new
hf cpc:/w/file
hf cpc:/w/dir
hf cpc:/w/dir/new
hf cpc:/w/new/
hf cpc:/w/nodir/new
hf cpc:/w/file/
hf cpc:/w/ldir
hf cpc:/w/lfile
hd cpc:/w
hd cpc:/w/new
hd/ cpc:/w/new
hd/. cpc:/w/new
hd/. cpc:/w/dir
hd cpc:/w/dir
hd cpc:/w/file
hd/. cpc:/w/file
hd cpc:/w/nodir/new
hd cpc:/w/new/
lhd cpc:/w/new
lhd/ cpc:/w/new
lhd/. cpc:/w/new
-L lhd cpc:/w/new
lhf cpc:/w/new
-L lhf cpc:/w/new
hbroken cpc:/w/new
-L hbroken cpc:/w/new
hempty cpc:/w/new
-a hf cpc:/w/new
"sp ace" cpc:/w/
./-dash cpc:/w/
./a:b cpc:/w/
nope cpc:/w/
hf nope:/w
hf/ cpc:/w
hd/a cpc:w/rel
hd/sub/.. cpc:/w/new
. cpc:/w/new`

for (const words of inward.trim().split("\n"))
  test(`into a container: cp ${words}`, () =>
    both(async (program) => {
      const clean =
        "rm -rf /w; mkdir -p /w/dir; echo old >/w/file; ln -s /w/dir /w/ldir; ln -s /w/file /w/lfile"
      await engine.ok("exec", "cpc", "sh", "-c", clean)
      const said = await shell(`cd ${host}; ${program} cp ${words}`)
      const list = 'cd /w; find . | sort | while read x; do stat -c "%n %F %a %s %u %N" "$x"; done'
      return `${said}\n${await engine.ok("exec", "cpc", "sh", "-c", list)}`
    }))

test("tar streams through standard input and output", () =>
  both(async (program) => {
    await engine.ok("exec", "cpc", "sh", "-c", "rm -rf /w; mkdir /w")
    const said = await shell(
      `cd ${host}; ${program} cp cpc:/d - | tar tvf - | awk '{print $1,$2,$6}' | sort
       for target in /w /f /nope; do tar cf - hd | ${program} cp - cpc:$target; echo exit code $?; done`,
    )
    return `${said}\n${await engine.ok("exec", "cpc", "sh", "-c", "find /w | sort")}`
  }))
