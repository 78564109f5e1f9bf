# Runs as PID 1 of the virtual machine. Each check prints `CHECK name: value`; the test outside compares.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
echo
say() { echo "CHECK $1: $2"; }
cg() { cat "/sys/fs/cgroup$(sed 's/^0:://' /proc/$1/cgroup)/$2" 2>&1 | head -1; }
S="sloop -H unix:///run/s.sock"

sloop daemon --data-root /var/lib/sloop --run-root /run/sloop -H unix:///run/s.sock > /tmp/daemon.log 2>&1 &
for i in $(seq 1 100); do $S version > /dev/null 2>&1 && break; sleep 0.3; done
say import "$($S import /busybox.tar busybox > /dev/null 2>&1 && echo ok || tail -3 /tmp/daemon.log)"
say version "$($S info --format '{{.CgroupVersion}}')"
say hello "$($S run --rm busybox echo hello 2>&1)"

$S run -d --name limited --memory 64m --memory-reservation 32m --pids-limit 50 --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 busybox sleep 1000 > /tmp/id 2>&1 || cat /tmp/id
PID=$($S inspect -f '{{.State.Pid}}' limited)
say memory.max "$(cg $PID memory.max)"
say memory.low "$(cg $PID memory.low)"
say pids.max "$(cg $PID pids.max)"
say cpu.max "$(cg $PID cpu.max)"
say cpu.weight "$(cg $PID cpu.weight)"
say cpuset.cpus "$(cg $PID cpuset.cpus)"
say inside "$($S exec limited cat /proc/self/cgroup 2>&1)"
$S update --memory 128m --memory-swap 128m --pids-limit 60 limited > /dev/null 2>&1
say updated "$(cg $PID memory.max) $(cg $PID pids.max)"
$S pause limited > /dev/null
say frozen "$(cg $PID cgroup.freeze) $($S inspect -f '{{.State.Status}}' limited)"
$S unpause limited > /dev/null
say thawed "$(cg $PID cgroup.freeze) $($S inspect -f '{{.State.Status}}' limited)"
say stats "$($S stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' limited)"
say top "$($S top limited -o pid,args | grep -c sleep)"

say oom "$($S run --name greedy --memory 24m --memory-swap 24m busybox sh -c 'tail /dev/zero' > /dev/null 2>&1; echo $?) $($S inspect -f '{{.State.OOMKilled}}' greedy)"
$S run -d --name survivor --memory 24m --memory-swap 24m busybox sh -c 'tail /dev/zero; sleep 1000' > /dev/null 2>&1
for i in $(seq 1 40); do [ "$($S inspect -f '{{.State.OOMKilled}}' survivor)" = true ] && break; sleep 0.5; done
say oom-of-a-child "$($S inspect -f '{{.State.OOMKilled}} {{.State.Status}}' survivor)"
say device-denied "$($S run --rm --cap-add MKNOD busybox sh -c 'mknod /tmp/vcs c 7 0 && head -c1 < /tmp/vcs' 2>&1 | grep -c 'Operation not permitted')"
say device-allowed "$($S run --rm --device /dev/vcs busybox sh -c "head -c1 /dev/vcs > /dev/null && echo yes" 2>&1)"
say null-works "$($S run --rm busybox sh -c 'echo x > /dev/null && head -c4 /dev/urandom | wc -c' 2>&1)"
say privileged "$($S run --rm --privileged busybox sh -c 'head -c1 /dev/vcs > /dev/null && echo yes' 2>&1)"
say readonly-cgroup "$($S run --rm busybox sh -c 'mkdir /sys/fs/cgroup/x' 2>&1 | grep -c 'Read-only')"
say published "$($S run -d --name web -p 127.0.0.1:8080:80 busybox sh -c 'mkdir /www; echo page > /www/index.html; httpd -f -h /www' > /dev/null 2>&1; sleep 1; wget -qO- http://127.0.0.1:8080/ 2>&1)"
$S rm -f limited web greedy survivor > /dev/null 2>&1
sleep 1
say left "$(find /sys/fs/cgroup/sloop -mindepth 1 -type d 2>/dev/null | wc -l)"
grep -iE 'error|warn|panic' /tmp/daemon.log | head -5
