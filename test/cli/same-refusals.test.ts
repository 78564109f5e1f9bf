// Mistakes: the same sentence, usage and exit code as the docker client, be it found by the client or by the daemon.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { startEngine } from "../fixtures/engine.ts"
import { caseLines, expectSame } from "./side-by-side.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

beforeAll(async () => {
  await engine.ok("run", "-d", "--name", "cc", "busybox", "sleep", "100000")
  await engine.ok("run", "-d", "--name", "web", "-v", "v1:/data", "busybox", "sleep", "100000")
  await engine.docker("run", "--name", "ll", "busybox", "true")
  await engine.ok("network", "create", "--subnet", "10.211.0.0/24", "own")
  await engine.ok("network", "create", "plain")
  await engine.ok("run", "-d", "--name", "owner", "--network", "own", "busybox", "sleep", "100000")
  await engine.ok("run", "-d", "--name", "hosted", "--network", "host", "busybox", "sleep", "100000")
  await engine.ok("run", "-d", "--name", "none-one", "--network", "none", "busybox", "sleep", "100000")
}, 30_000)

const cases = `
nosuch
run
ps foo
exec cc
exec --bogus cc ls
container nosuch
rm
stop -t
run --rm=maybe busybox
stop --time soon cc
run --rm busybox nosuchcmd
run --rm busybox /etc
run --rm busybox ./rel/nope
exec cc nosuch
exec cc /etc
exec nope ls
start nope
start -a nope
create
run --memory 1x busybox
tag a
cp a
logs nope
wait nope
run -v
--nope ps
run -it busybox
exec -it cc sh
run --restart always --rm busybox
run -d -a stdin busybox
network foo
help nosuch
rmi nope
rmi -f nope
kill nope
attach nope
top nope
history nope
save
save nope
load -i /nope
import /nope
cp cc:/nope /tmp
cp a b
cp cc:/a cc:/b
commit a b c
port
rename a
rename nope x
rename cc web
volume rm
volume rm nope
volume rm v1
volume rm -f nope
run --cap-add X busybox true
run --name cc busybox
create --pull never nosuchimage
network create
network create a b
network create bridge
network create host
network create own
network create --subnet 10.0.0.5/24 bad
network create --subnet 10.212.0.0/24 --gateway 10.213.0.1 bad
network create --subnet 10.212.0.0/24 --gateway 10.212.0.1 --gateway 10.212.0.2 bad
network create --subnet nonsense --gateway 10.0.0.1 bad
network create --subnet nonsense bad
network create --gateway 10.212.0.1 bad
network create --ip-range 10.212.0.0/25 bad
network create --subnet 10.212.0.0/24 --ip-range 10.213.0.0/25 bad
network create --subnet 10.212.0.0/24 --aux-address a=10.213.0.1 bad
network create --subnet 10.212.0.0/24 --subnet 10.212.0.0/25 bad
network create --subnet 10.211.0.0/25 bad
network create -d overlay bad
network create -d nodriver bad
network create --scope swarm bad
network create --ingress bad
network create --config-only bad
network create --config-from own bad
network create --ipv4=maybe bad
network create --nope bad
network create --label =x bad
network rm
network rm nope
network rm -f nope
network rm bridge
network rm own
network remove nope
network connect
network connect own
network connect nope cc
network connect own nope
network connect own owner
network connect --ip 10.9.9.9 own cc
network connect --ip nonsense own cc
network connect --ip 172.30.0.1 plain cc
network connect --alias "a b" own cc
network connect --driver-opt x own cc
network connect --gw-priority x own cc
network connect --link a:b:c own cc
network connect own hosted
network connect own none-one
network connect host cc
network disconnect
network disconnect own cc
network disconnect nope cc
network disconnect own nope
network disconnect -f own nope
network disconnect host hosted
network disconnect own ll
network inspect
network prune --nope
network prune -f x
run --rm --network nope busybox true
run --rm --network own --network own busybox true
run --rm --network own --network bridge busybox true
run --rm --network name=own,color=red busybox true
run --rm --network alias=x,ip=1 busybox true
run --rm --network name=own,gw-priority=x busybox true
run --rm --network-alias x busybox true
run --rm --network host --network-alias x busybox true
run --rm --network own --ip 10.9.9.9 busybox true
run --rm --network own --ip 10.211.0.77 --ip6 nonsense busybox true
run --rm --ip 172.17.0.99 busybox true
run --rm --network plain --ip 172.30.0.9 busybox true
run --rm --network own --mac-address nonsense busybox true
run --rm --network container:cc -p 80:80 busybox true
run --rm --network container:nope busybox true
run --rm --network container: busybox true
run --rm --network container:ll busybox true
run --rm --network name=own,ip=10.211.0.66 --ip 10.211.0.67 busybox true
run --rm --network "" busybox true
run --rm --link nope busybox true
run --rm --link a:b:c busybox true
run -p 99999 busybox
run -p a:b busybox
run -p 80:70:60:50 busybox
run -p 80-82:80 busybox
run -p 80:80/foo busybox
run -v /a:/b:zz busybox
run -v a:/b:ro:x:y busybox
run --mount type=x busybox
run --mount type=bind,src=/nope,dst=/x busybox
run --mount foo busybox
run --mount type=bind,source=rel,target=/x busybox
run --mount type=volume,foo=bar,target=/x busybox
run --mount type=tmpfs,target=/x,tmpfs-size=x busybox
run --mount type=tmpfs,target=/x,source=y busybox
run --mount type=bind,src=/tmp,dst=/x,readonly=maybe busybox
run --mount type=bind,src=/tmp,dst=/x,bind-propagation=foo busybox
run --mount type=volume,dst=/x,bind-propagation=rprivate busybox
run --mount "" busybox
run -e "" busybox true
run -e "=x" busybox true
run --env-file /nope busybox
run --ulimit x busybox
run --ulimit nofile=10:5 busybox
run --ulimit foo=10 busybox
run --ulimit nofile=x busybox
run --device /nope busybox
run --device /dev/null:/dev/x:q busybox
run --cpus x busybox
run --cpus 1.12345678901 busybox
run --health-interval x busybox
run --health-interval -1s busybox
run --health-cmd x --no-healthcheck busybox
run --network nope busybox
run --stop-signal XX busybox
run --restart x busybox
run --restart on-failure:x busybox
run --restart always:3 busybox
run --label "" busybox true
run --label "=x" busybox true
run --shm-size x busybox
run --tmpfs foo busybox true
run --link x busybox
run --add-host x busybox
run --add-host x:y busybox
run --dns x busybox
run --security-opt foo busybox
run --security-opt foo=bar busybox
run --security-opt seccomp=/nope busybox
run --security-opt no-new-privileges=x busybox
run --log-driver x busybox
run --pid x busybox
run --uts x busybox
run --userns x busybox
run --cgroupns x busybox
run --sysctl x busybox
run --mac-address x busybox
run --blkio-weight 5 busybox
run --oom-score-adj 2000 busybox
run --device-read-bps x busybox
run --device-read-bps /dev/x:y busybox
run --device-read-iops /dev/x:y busybox
run --blkio-weight-device x busybox
run --blkio-weight-device /dev/x:5 busybox
run --storage-opt x busybox
run -w rel busybox
run -u nosuch busybox
run --hostname "a b" busybox
run --pids-limit x busybox
run --memory 1k busybox
run --memory-swappiness 200 busybox
run -a foo busybox
run --expose 80/foo busybox
run --device-cgroup-rule x busybox
run --entrypoint "" --rm busybox echo x
run --rm busybox sh -c "exit 3"
run --rm busybox sh -c "echo out; echo err >&2"
run --name aaa --cidfile /etc/passwd busybox
run --platform foo/bar busybox true
run --isolation foo busybox
run --runtime foo busybox
run --ipc foo busybox
run --group-add nosuch busybox true
run --domainname x --rm busybox true
run --link-local-ip x busybox
stop nope cc2
restart nope
pause nope
unpause cc
pause
update nope --memory 100m
update
update cc
update --restart foo cc
update --memory x cc
kill -s FOO cc
kill -s 99 cc
tag nope foo
diff
export nope
commit nope
container prune --filter x
volume prune --filter x
image prune --filter until=x -f
container inspect
rm cc
rm nope web2
rm -f nope
attach ll
exec ll true
top ll
stop -t 1 ll
start cc
start ll nope
wait ll
port ll
logs --since x ll
update --cpus 0.5 cc
system df foo
info foo
version foo
inspect
image tag
system nope
`

for (const words of caseLines(cases)) test(words.join(" "), () => expectSame(engine, words), 20_000)

test("a flag or verb that is nearly right is suggested, as docker does not", async () => {
  const flag = await engine.sloop("ps", "--foramt", "x")
  expect(flag.stderr).toStartWith("unknown flag: --foramt; did you mean --format?\n")
  expect(flag.code).toBe(125)
  const verb = await engine.sloop("imagse")
  expect(verb.stderr).toStartWith("sloop: unknown command: sloop imagse; did you mean sloop images?\n")
  expect(verb.code).toBe(1)
})

test("verbs that come later say with what", async () => {
  for (const [words, what] of [
    [
      "trust sign x",
      "sloop trust is not part of Sloop: signatures are referrers of an image, as its registry keeps them",
    ],
    ["compose up", "sloop compose is not there yet: it comes with projects of several containers"],
    ["swarm init", "sloop swarm is not part of Sloop: it runs the containers of one machine"],
  ] as const)
    expect(await engine.sloop(...words.split(" "))).toEqual({ code: 1, stdout: "", stderr: `${what}\n` })
})

test("no daemon, no root: one sentence", async () => {
  const absent = await engine.sloop("-H", "unix:///nowhere/s.sock", "ps")
  expect(absent).toEqual({
    code: 1,
    stdout: "",
    stderr: "Cannot connect to the Sloop daemon at unix:///nowhere/s.sock. Is the daemon running?\n",
  })
})
