import { expect, test } from "bun:test"
import { readExposed, readPublished } from "./ports.ts"

const cases: readonly (readonly [
  value: string,
  bindings: Record<string, { HostIp: string; HostPort: string }[]>,
])[] = [
  ["80", { "80/tcp": [{ HostIp: "", HostPort: "" }] }],
  ["8080:80", { "80/tcp": [{ HostIp: "", HostPort: "8080" }] }],
  ["8080:80/udp", { "80/udp": [{ HostIp: "", HostPort: "8080" }] }],
  ["127.0.0.1:8080:80", { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] }],
  ["127.0.0.1::80", { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] }],
  ["[::1]:8080:80", { "80/tcp": [{ HostIp: "::1", HostPort: "8080" }] }],
  ["8000-8001:80", { "80/tcp": [{ HostIp: "", HostPort: "8000-8001" }] }],
  [
    "8000-8001:80-81",
    { "80/tcp": [{ HostIp: "", HostPort: "8000" }], "81/tcp": [{ HostIp: "", HostPort: "8001" }] },
  ],
]
for (const [value, bindings] of cases)
  test(`-p ${value}`, () => expect(readPublished([value]).bindings).toEqual(bindings))

test("the same port twice has two bindings", () => {
  expect(readPublished(["1:80", "2:80"]).bindings["80/tcp"]).toHaveLength(2)
})

for (const [value, message] of [
  ["99999", "invalid containerPort: 99999"],
  ["99999:80", "invalid hostPort: 99999"],
  ["a:b", "invalid containerPort: b"],
  ["80/foo", "invalid proto: foo"],
  ["8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"],
] as const)
  test(`-p ${value} is refused`, () => expect(() => readPublished([value])).toThrow(message))

test("--expose takes ranges and protocols", () => {
  expect(Object.keys(readExposed(["80", "90-91/udp"]))).toEqual(["80/tcp", "90/udp", "91/udp"])
})
