// Everything that lists, shows or filters: `sloop` prints what the docker client prints over the same engine.
import { afterAll, beforeAll, test } from "bun:test"
import { startEngine } from "../fixtures/engine.ts"
import { caseLines, expectSame } from "./side-by-side.ts"

const engine = await startEngine()
afterAll(() => engine.close(), 60_000)

beforeAll(async () => {
  await engine.ok("run", "-d", "--name", "cc", "-l", "a=b", "-l", "c=d", "busybox", "sleep", "100000")
  const web = [
    "-p",
    "18980:80",
    "-p",
    "127.0.0.1:18943:443/udp",
    "-v",
    "v1:/data",
    "-v",
    `${engine.work}:/host`,
  ]
  await engine.ok("run", "-d", "--name", "web", ...web, "busybox", "sleep", "100000")
  await engine.ok("network", "create", "--label", "tier=front", "--subnet", "10.211.0.0/24", "--ipv6", "own")
  await engine.ok("network", "create", "--internal", "-o", "com.docker.network.driver.mtu=1400", "inner")
  const ranges = [
    "-p",
    "18900-18903:18900-18903",
    "-p",
    "127.0.0.1:18910-18911:90-91/udp",
    "--expose",
    "7000-7002",
  ]
  const networks = ["--network", "name=own,alias=many,ip=10.211.0.9", "--network", "inner"]
  await engine.ok("run", "-d", "--name", "multi", ...networks, ...ranges, "busybox", "sleep", "100000")
  await engine.ok("create", "--name", "stopped", "--network", "own", "-p", "80", "busybox", "true")
  const changes = "echo one; echo two >&2; mkdir /x; touch /x/y; rm /etc/passwd"
  await engine.docker("run", "--name", "ll", "busybox", "sh", "-c", changes)
  await engine.ok("volume", "create", "--label", "k=v", "v2")
  await engine.ok("tag", "busybox", "foo/bar:1.2")
}, 30_000)

const cases = `
ps
ps -a
ps -aq
ps -a --no-trunc
ps -as
ps -l
ps -n 1
ps --format json
ps -a --format "table {{.ID}}\\t{{.Names}}\\t{{.Image}}"
ps -a --format "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.CreatedAt}} {{.RunningFor}} {{.Ports}} {{.State}} {{.Status}} {{.Size}} {{.Labels}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}}"
ps -a --format "table {{.Names}}\\t{{.Label \\"a\\"}}"
ps -a --format "table {{upper .Names}}\\t{{json .Labels}}"
ps -a --format "{{json .}}"
ps --format "{{nope}}"
ps --format "{{.ID"
ps --filter x
ps --filter status=exited
ps --filter status=bogus
ps -f name=cc -q
ps --filter label=a -a
container ls -a
container ps
container list
images
images -q
images -a
images --no-trunc
images --digests
images --format json
images --format "{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.VirtualSize}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}"
images --format "table {{.Repository}}\\t{{.Size}}"
images busybox
images nope
image ls
history busybox
history -q busybox
history --no-trunc busybox
history --format json busybox
history --human=false busybox
inspect cc
inspect -s cc
inspect -f "{{.State.Status}} {{json .Config.Labels}} {{.Config.Labels}} {{.HostConfig.PortBindings}} {{.Mounts}}" cc
inspect -f json cc
inspect -f "{{.NetworkSettings.Networks.bridge.IPAddress}} {{range .Mounts}}{{.Destination}}{{end}} {{.HostConfig.Memory}} {{.State.Pid}}" cc
inspect cc busybox
inspect nope
inspect nope cc
inspect -f "{{nope}}" cc
inspect -f "{{.Nope" cc
inspect --type image cc
inspect --type volume v1
container inspect nope
image inspect busybox
image inspect nope
volume ls
volume ls -q
volume ls --format json
volume ls --format "{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Labels}} {{.Size}} {{.Links}} {{.Availability}} {{.Group}} {{.Status}}"
volume ls -f dangling=true
volume inspect v1
volume inspect nope
network ls
network ls --no-trunc
network ls -q
network ls --format json
network ls --format "{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.IPv4}} {{.Internal}} {{.Labels}} {{.CreatedAt}}"
network inspect bridge
network inspect -v nope
network inspect own
network inspect own inner nope
network inspect -f "{{.Name}} {{.Driver}} {{json .IPAM.Config}} {{.Options}} {{.Labels}} {{.EnableIPv4}} {{.EnableIPv6}} {{.Internal}} {{.Attachable}} {{.Ingress}} {{.ConfigOnly}} {{.ConfigFrom.Network}}" own
network inspect -f "{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}} {{.IPv6Address}}{{end}}" own
network inspect -f json inner
network inspect host none
network ls -f name=own
network ls -f name=^ow
network ls -f driver=bridge
network ls -f driver=null -q
network ls -f label=tier
network ls -f label=tier=front --format "{{.Name}}"
network ls -f label=tier=back
network ls -f scope=local
network ls -f scope=swarm
network ls -f type=custom
network ls -f type=builtin
network ls -f type=weird
network ls -f dangling=true
network ls -f dangling=false
network ls -f dangling=maybe
network ls -f nope=1
network list
network ls --format "table {{.Name}}\\t{{.Label \\"tier\\"}}"
inspect own
inspect --type network inner
inspect -f "{{json .NetworkSettings.Networks}}" multi
inspect -f "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{$v.DNSNames}} {{$v.GwPriority}} {{end}}" multi
inspect -f "{{json .NetworkSettings.Ports}} {{.NetworkSettings.IPAddress}}" multi
inspect -f "{{json .NetworkSettings}}" stopped
ps --format "{{.Names}} {{.Networks}} {{.Ports}}"
ps -a --filter network=own --format "{{.Names}}"
ps -a --filter network=inner -q
port multi
system df
system df -v
system df --format json
system df --format "{{.Type}} {{.Size}} {{.Reclaimable}} {{.TotalCount}} {{.Active}}"
info -f "{{.ServerVersion}} {{.Driver}}"
version -f "{{.Server.Version}} {{.Server.APIVersion}}"
port cc
port web
port web 80
port web 80/tcp
port web 81
port web 80/udp
top cc
top cc -o pid,comm
top nope
stats --no-stream --format "{{.Name}} {{.PIDs}} {{.ID}} {{.Container}}" cc
stats --no-stream nope
stats --no-stream --format json cc
logs ll
logs -t nope
logs --tail 2 ll
logs -n 1 ll
logs --since 1h ll
logs --until 1h ll
logs --details ll
logs --tail x ll
diff ll
diff nope
wait ll
`

for (const words of caseLines(cases)) test(words.join(" "), () => expectSame(engine, words))

test("events, down to the nanosecond", async () => {
  const now = (await engine.ok("info", "-f", "{{.SystemTime}}")).trim()
  const range = ["events", "--since", "1h", "--until", now]
  for (const more of [
    [],
    ["--format", "json"],
    ["--filter", "event=start", "--format", "{{.Action}} {{.Actor.ID}}"],
  ])
    await expectSame(engine, [...range, ...more])
})
