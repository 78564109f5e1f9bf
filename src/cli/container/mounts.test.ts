import { expect, test } from "bun:test"
import { readMount, readVolumes } from "./mounts.ts"

test("--mount in its forms", () => {
  expect(readMount("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave")).toEqual({
    Type: "bind",
    Source: "/a",
    Target: "/b",
    ReadOnly: true,
    BindOptions: { Propagation: "rslave" },
  })
  expect(readMount("source=v,target=/b,volume-nocopy,volume-label=a=b=c")).toEqual({
    Type: "volume",
    Source: "v",
    Target: "/b",
    VolumeOptions: { NoCopy: true, Labels: { a: "b=c" } },
  })
  expect(readMount("type=tmpfs,destination=/t,tmpfs-size=64m,tmpfs-mode=1770")).toEqual({
    Type: "tmpfs",
    Target: "/t",
    TmpfsOptions: { SizeBytes: 64 * 1024 * 1024, Mode: 0o1770 },
  })
  expect(
    readMount('type=volume,dst=/x,"volume-opt=o=addr=1.2.3.4,rw"').VolumeOptions?.DriverConfig?.Options,
  ).toEqual({
    o: "addr=1.2.3.4,rw",
  })
})

for (const [value, message] of [
  ["", "EOF"],
  ["foo", "invalid field 'foo' must be a key=value pair"],
  ["type=bind,src=/a", "target is required"],
  ["type=bind,dst=/a,foo=bar", "unexpected key 'foo' in 'foo=bar'"],
  ["type=volume,dst=/x,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'volume'"],
  ["type=bind,src=/a,dst=/b,ro=maybe", "invalid value for ro"],
  ["type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"],
] as const)
  test(`--mount ${value} is refused`, () => expect(() => readMount(value)).toThrow(message))

test("-v: a path alone is a volume, relative sources become absolute", () => {
  expect(readVolumes(["/data", "name:/x:ro", "/a:/b"])).toEqual({
    binds: ["name:/x:ro", "/a:/b"],
    volumes: { "/data": {} },
  })
  expect(readVolumes(["./here:/x"]).binds).toEqual([`${process.cwd()}/here:/x`])
})
