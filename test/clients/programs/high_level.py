# What docker-py's users do, through its high-level API; one function per doing, named by the first argument.
import io
import sys
import tarfile
import tempfile
import threading
import time

import docker

client = docker.from_env(timeout=30)


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def sleeper(**more):
    return client.containers.run("busybox", ["sleep", "1000"], detach=True, init=True, **more)


def run():
    same(client.ping(), True)
    same(client.version()["Os"], "linux")
    assert client.info()["Containers"] >= 0
    same(client.containers.run("busybox", "echo hello"), b"hello\n")
    same(client.containers.run("busybox", ["sh", "-c", "echo a; echo b >&2"], stdout=True, stderr=True, remove=True), b"a\nb\n")
    try:
        client.containers.run("busybox", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True)
        raise AssertionError("no ContainerError")
    except docker.errors.ContainerError as error:
        same((error.exit_status, error.stderr), (3, b"wrong\n"))
    try:
        client.containers.run("busybox", "/nowhere", remove=True)
        raise AssertionError("no APIError")
    except docker.errors.APIError as error:
        same(error.status_code in (400, 404), True)
    container = client.containers.run(
        "busybox",
        ["sh", "-c", 'echo "$WHO $(hostname) $(id -u) $(pwd)"; sleep 1000'],
        detach=True,
        name="given",
        hostname="host",
        user="33",
        working_dir="/tmp",
        environment={"WHO": "me"},
        labels={"a": "b"},
        mem_limit="64m",
        ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        tmpfs={"/scratch": "size=1m"},
        healthcheck={"test": ["CMD", "true"], "interval": 200000000},
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}),
    )
    for line in container.logs(stream=True, follow=True):
        same(line, b"me host 33 /tmp\n")
        break
    container.reload()
    same((container.status, container.name, container.labels), ("running", "given", {"a": "b"}))
    same(container.image.tags, ["busybox:latest"])
    same([c.name for c in client.containers.list(filters={"label": "a=b"})], ["given"])
    same(client.containers.get("given").id, container.id)
    same(container.top()["Titles"][0], "UID")
    end = time.time() + 10
    while container.attrs["State"]["Health"]["Status"] != "healthy" and time.time() < end:
        time.sleep(0.1)
        container.reload()
    same(container.attrs["State"]["Health"]["Status"], "healthy")
    container.pause()
    container.reload()
    same(container.status, "paused")
    container.unpause()
    container.rename("other")
    container.update(mem_limit="32m", memswap_limit="64m")
    container.reload()
    same((container.name, container.attrs["HostConfig"]["Memory"]), ("other", 32 << 20))
    container.kill("SIGKILL")
    same(container.wait()["StatusCode"], 137)
    container.restart(timeout=0)
    container.stop(timeout=0)
    container.remove(v=True)
    try:
        client.containers.get("other")
        raise AssertionError("no NotFound")
    except docker.errors.NotFound as error:
        same(error.explanation, "No such container: other")


def logs():
    script = "for i in 1 2 3; do echo line $i; sleep 0.1; done; echo end >&2"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True)
    same(b"".join(container.logs(stream=True, follow=True)), b"line 1\nline 2\nline 3\nend\n")
    # The last lines are counted before one stream is chosen.
    same(container.logs(stdout=True, stderr=False, tail=2), b"line 3\n")
    same(container.logs(stdout=False, stderr=True), b"end\n")
    stamped = container.logs(timestamps=True, tail=1).split(b" ", 1)
    same((stamped[0][:2], stamped[1]), (b"20", b"end\n"))
    same(container.logs(since=int(time.time()) + 100), b"")
    container.remove()


def attach():
    container = client.containers.create("busybox", ["sh", "-c", "read x; echo got $x"], stdin_open=True)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    container.start()
    socket._sock.sendall(b"word\n")
    got = b""
    while True:
        part = socket._sock.recv(4096)
        if not part:
            break
        got += part
    same(got, b"\x01\0\0\0\0\0\0\x09got word\n")
    socket.close()
    container.remove(force=True)
    container = client.containers.create("busybox", ["sh", "-c", "echo one; echo two >&2"])
    stream = container.attach(stream=True, demux=True)
    container.start()
    same(sorted(stream, key=str), sorted([(b"one\n", None), (None, b"two\n")], key=str))
    container.remove(force=True)


def execs():
    container = sleeper()
    same(tuple(container.exec_run(["echo", "word"])), (0, b"word\n"))
    same(tuple(container.exec_run(["sh", "-c", "echo a; echo b >&2; exit 4"], demux=True)), (4, (b"a\n", b"b\n")))
    same(container.exec_run("sh -c 'echo $A $(id -u) $(pwd)'", environment={"A": "b"}, user="33", workdir="/tmp").output, b"b 33 /tmp\n")
    same(b"".join(container.exec_run("echo streamed", stream=True).output), b"streamed\n")
    same(container.exec_run("tty", tty=True).output, b"/dev/pts/0\r\n")
    _, socket = container.exec_run("cat", stdin=True, socket=True)
    socket._sock.sendall(b"back")
    socket._sock.shutdown(1)
    same(socket._sock.recv(100), b"\x01\0\0\0\0\0\0\x04back")
    socket.close()
    low = client.api
    made = low.exec_create(container.id, ["sleep", "1000"])
    low.exec_start(made["Id"], detach=True)
    same(low.exec_inspect(made["Id"])["Running"], True)
    same(container.exec_run("nothing-there").exit_code, 127)
    container.remove(force=True)


def stats():
    container = sleeper()
    once = container.stats(stream=False)
    same(once["name"], "/" + container.name)
    assert once["memory_stats"]["usage"] > 0 and once["cpu_stats"]["system_cpu_usage"] > 0, once
    assert once["precpu_stats"]["cpu_usage"]["total_usage"] > 0, once
    stream = container.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    same(second["precpu_stats"]["cpu_usage"], first["cpu_stats"]["cpu_usage"])
    assert second["networks"]["eth0"]["rx_bytes"] >= 0
    stream.close() if hasattr(stream, "close") else None
    container.remove(force=True)


def archives():
    container = sleeper()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("dir/file")
        content = b"x" * 100_000
        entry.size = len(content)
        entry.uid = 33
        tar.addfile(entry, io.BytesIO(content))
    same(container.put_archive("/tmp", packed.getvalue()), True)
    same(container.exec_run("stat -c '%u %s' /tmp/dir/file").output, b"33 100000\n")
    chunks, stat = container.get_archive("/tmp/dir")
    same(stat["name"], "dir")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        same(tar.getnames(), ["dir", "dir/file"])
        same(tar.extractfile("dir/file").read(), content)
    same(sorted(c["Path"] for c in container.diff()), ["/tmp", "/tmp/dir", "/tmp/dir/file"])
    whole = b"".join(container.export())
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert "tmp/dir/file" in tar.getnames()
    try:
        container.get_archive("/nowhere")
        raise AssertionError("no NotFound")
    except docker.errors.NotFound as error:
        assert "Could not find the file /nowhere in container" in error.explanation, error
    container.remove(force=True)


def volumes():
    volume = client.volumes.create("py-data", labels={"a": "b"})
    same((volume.name, volume.attrs["Driver"]), ("py-data", "local"))
    script = ["sh", "-c", "echo kept > /data/file"]
    client.containers.run("busybox", script, remove=True, volumes={"py-data": {"bind": "/data", "mode": "rw"}})
    mount = docker.types.Mount("/data", "py-data", read_only=True)
    same(client.containers.run("busybox", "cat /data/file", remove=True, mounts=[mount]), b"kept\n")
    same([v.name for v in client.volumes.list(filters={"label": "a=b"})], ["py-data"])
    user = sleeper(volumes=["py-data:/data"])
    try:
        volume.remove()
        raise AssertionError("no conflict")
    except docker.errors.APIError as error:
        same(error.status_code, 409)
    user.remove(force=True)
    client.volumes.get("py-data").remove()
    assert "VolumesDeleted" in client.volumes.prune()


def networks():
    pool = docker.types.IPAMPool(subnet=sys.argv[2] + ".0/24", gateway=sys.argv[2] + ".1")
    network = client.networks.create("py-net", driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"a": "b"})
    server = client.containers.run("busybox", "httpd -f -h /etc", detach=True, name="py-server", hostname="served", network="py-net", ports={"80/tcp": ("127.0.0.1", None)})
    server.reload()
    assert int(server.ports["80/tcp"][0]["HostPort"]) > 0, server.ports
    other = sleeper()
    network.connect(other, aliases=["alias"], ipv4_address=sys.argv[2] + ".77")
    other.reload()
    same(other.attrs["NetworkSettings"]["Networks"]["py-net"]["IPAddress"], sys.argv[2] + ".77")
    same(other.exec_run("wget -qO- http://py-server/hostname").output, b"served\n")
    network.reload()
    same(sorted(c.name for c in network.containers), sorted(["py-server", other.name]))
    network.disconnect(other)
    same([n.name for n in client.networks.list(names=["py-net"])], ["py-net"])
    server.remove(force=True)
    other.remove(force=True)
    network.remove()
    assert "NetworksDeleted" in client.networks.prune()


def images():
    container = client.containers.create("busybox", "true")
    image = container.commit(repository="py-made", tag="1", changes=["ENV A=b"])
    same(image.tags, ["py-made:1"])
    wished = container.commit(conf={"Cmd": ["served"], "Labels": {"made": "py"}, "Env": ["C=d"]}, changes=["USER 7"])
    config = wished.attrs["Config"]
    same((config["Cmd"], config["Labels"], config["User"]), (["served"], {"made": "py"}, "7"))
    assert "C=d" in config["Env"] and any(one.startswith("PATH=") for one in config["Env"]), config["Env"]
    client.images.remove(wished.id)
    container.remove()
    same(image.tag("py-other", "2"), True)
    same(sorted(client.images.get("py-made:1").tags), ["py-made:1", "py-other:2"])
    assert len(image.history()) >= 1
    saved = b"".join(client.images.get("py-made:1").save(named=True))
    client.images.remove("py-made:1")
    client.images.remove("py-other:2")
    same([i.tags for i in client.images.load(saved)], [["py-made:1"]])
    registry = sys.argv[2]
    image.tag(registry + "/py", "3")
    lines = list(client.images.push(registry + "/py", tag="3", stream=True, decode=True))
    assert any("Digest" in line.get("aux", {}) for line in lines), lines
    client.images.remove(registry + "/py:3")
    assert registry + "/py:3" in client.images.pull(registry + "/py", tag="3").tags
    assert client.images.get_registry_data(registry + "/py:3").id.startswith("sha256:")
    client.images.remove(registry + "/py:3", force=True)
    client.images.remove("py-made:1")
    try:
        client.images.get("py-made:1")
        raise AssertionError("no ImageNotFound")
    except docker.errors.ImageNotFound:
        pass
    client.images.prune()
    assert client.df()["Images"]


def builds():
    dockerfile = b"FROM busybox\nARG WHO\nRUN echo $WHO > /who\nCMD cat /who\n"
    image, lines = client.images.build(
        fileobj=io.BytesIO(dockerfile), tag="py-built:1", buildargs={"WHO": "py"}, labels={"a": "b"}, rm=True
    )
    told = "".join(line.get("stream", "") for line in lines)
    assert "Step 1/5 : FROM busybox\n" in told and "Successfully tagged py-built:1\n" in told, told
    same((image.tags, image.labels), (["py-built:1"], {"a": "b"}))
    same(client.containers.run("py-built:1", remove=True), b"py\n")
    with tempfile.TemporaryDirectory() as directory:
        for name, text in {"Dockerfile": "FROM busybox\nCOPY . /all\n", ".dockerignore": "left\n", "left": "", "kept": ""}.items():
            with open(directory + "/" + name, "w") as file:
                file.write(text)
        for more in ({}, {"gzip": True}, {"nocache": True}, {"quiet": True}, {"pull": False, "forcerm": True}):
            image, _ = client.images.build(path=directory, tag="py-built:2", **more)
            same(client.containers.run(image, ["ls", "/all"], remove=True), b"Dockerfile\nkept\n")
        lines = client.api.build(path=directory, decode=True, container_limits={"memory": 64 << 20, "cpushares": 512})
        assert any("Using cache" in line.get("stream", "") for line in lines)
    try:
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo before && exit 4\n"))
        raise AssertionError("no BuildError")
    except docker.errors.BuildError as error:
        assert "returned a non-zero code: 4" in error.msg, error.msg
        assert any("before" in line.get("stream", "") for line in error.build_log)
    try:
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nFOO\n"))
        raise AssertionError("no APIError")
    except docker.errors.APIError as error:
        same(error.status_code, 400)
    assert client.api.prune_builds()["SpaceReclaimed"] >= 0


def events():
    since = int(time.time()) - 1
    found = []
    stream = client.events(decode=True, filters={"type": "container", "label": "seen=yes"}, since=since)

    def listen():
        for event in stream:
            found.append(event["Action"])
            if event["Action"] == "destroy":
                return

    thread = threading.Thread(target=listen)
    thread.start()
    container = client.containers.run("busybox", "true", labels={"seen": "yes"}, detach=True)
    container.wait()
    container.remove()
    thread.join(10)
    stream.close()
    same(found, ["create", "start", "die", "destroy"])
    past = client.events(decode=True, since=since, until=int(time.time()) + 1, filters={"event": "destroy", "label": "seen=yes"})
    same([event["Actor"]["ID"] for event in past], [container.id])


globals()[sys.argv[1]]()
print("done")
