import { expect, test } from "bun:test"
import { mountFrom, readDevice, readMount } from "./mounts.ts"

const same = (value: string) => value
const read = (text: string) => readMount(text, same)

test("mounts are read with their defaults", () => {
  expect(read("target=/a")).toEqual({ type: "bind", target: "/a", readOnly: true })
  expect(read("type=bind,from=b,src=/x,dst=/y,rw")).toEqual({
    ...{ type: "bind", from: "b", source: "/x", target: "/y" },
    readOnly: false,
  })
  expect(read("TYPE=Cache,id=c,sharing=Locked,mode=0755,uid=1,gid=2,destination=/c")).toEqual({
    ...{ type: "cache", id: "c", sharing: "locked", mode: 0o755, uid: 1, gid: 2, target: "/c" },
    readOnly: false,
  })
  expect(read("type=tmpfs,target=/t,size=64m")).toEqual({
    ...{ type: "tmpfs", target: "/t", size: 64 * 1024 * 1024 },
    readOnly: false,
  })
  expect(read("type=secret,id=s,env=TOKEN,required")).toMatchObject({ id: "s", env: "TOKEN", required: true })
  expect(read('type=bind,"target=/a,b"')).toMatchObject({ target: "/a,b" })
  expect(read("type=cache,target=/a,ro=1")).toMatchObject({ readOnly: true })
})

test("values are expanded, keys are not", () => {
  expect(
    readMount("type=$t,target=/$d", (value) => value.replace("$t", "cache").replace("$d", "x")),
  ).toMatchObject({
    type: "cache",
    target: "/x",
  })
})

test("what a mount is taken from holds no variables", () => {
  expect(mountFrom("type=$t,from=stage,target=/x")).toBe("stage")
  expect(mountFrom("target=/x")).toBe("")
  expect(mountFrom("from=a$")).toBe("a$")
  expect(() => mountFrom("from=$x")).toThrow("'from' doesn't support variable expansion")
})

const refusals: readonly (readonly [text: string, message: string])[] = [
  ["type=cahce", 'unsupported mount type "cahce" (did you mean cache?)'],
  ["foo", "invalid field 'foo' must be a key=value pair"],
  ["tagret=/x", "unexpected key 'tagret' in 'tagret=/x' (did you mean target?)"],
  ["type=bind,mode=0755", 'mode not allowed for "bind" type mounts'],
  ["type=tmpfs,uid=1", 'uid not allowed for "tmpfs" type mounts'],
  ["type=cache,mode=9", "invalid value 9 for mode"],
  ["type=cache,uid=-1", "invalid value -1 for uid"],
  ["type=cache,sharing=lokced", 'unsupported sharing value "lokced" (did you mean locked?)'],
  ["type=bind,sharing=locked", "invalid cache sharing set for bind mount"],
  ["type=bind,required", "unexpected key 'required' for mount type 'bind'"],
  ["type=bind,size=1", "unexpected key 'size' for mount type 'bind'"],
  ["type=tmpfs,size=x", "invalid value for size: x"],
  ["type=bind,ro=maybe", "invalid value for ro: maybe"],
  ["type=secret", "invalid secret mount. one of source, target required"],
  ["type=secret,src=a,id=b", "both source and id can't be set"],
  ["type=secret,id=a,from=b", "secret mount should not have a from"],
  ["", "failed to parse csv mounts: EOF"],
  [
    '"a',
    'failed to parse csv mounts: parse error on line 1, column 2: extraneous or missing " in quoted-field',
  ],
  ['a"b', 'failed to parse csv mounts: parse error on line 1, column 2: bare " in non-quoted field'],
]
for (const [text, message] of refusals)
  test(`${text} is refused: ${message}`, () => expect(() => read(text)).toThrow(message))

test("devices are named, and needed or not", () => {
  expect(readDevice("v.com/d=a")).toEqual({ name: "v.com/d=a", required: false })
  expect(readDevice("name=v.com/d=a,required")).toEqual({ name: "v.com/d=a", required: true })
  expect(readDevice("v.com/d=a,required=false")).toEqual({ name: "v.com/d=a", required: false })
  expect(() => readDevice("v.com/d=a,name=b")).toThrow("device name already set to v.com/d=a")
})
