import { expect, test } from "bun:test"
import * as check from "./checks.ts"

const refused = (work: (value: string) => unknown, values: readonly string[]) => {
  for (const value of values) expect(() => work(value), value).toThrow()
}
const taken = (work: (value: string) => unknown, values: readonly string[]) => {
  for (const value of values) expect(() => work(value), value).not.toThrow()
}

test("addresses", () => {
  taken(check.address, ["1.2.3.4", "::1", "fe80::1", "::ffff:1.2.3.4"])
  refused(check.address, ["", "x", "1.2.3", "1.2.3.256", "1:2", ":::", "g::1"])
})

test("extra hosts", () => {
  taken(check.extraHost, ["a:1.2.3.4", "a=::1", "a:[::1]", "a:host-gateway"])
  refused(check.extraHost, ["a", "a:b", ":1.2.3.4"])
})

test("ulimits", () => {
  taken(check.ulimit, ["nofile=1", "nofile=1:2", "core=-1", "nproc=5:-1"])
  refused(check.ulimit, ["x", "foo=1", "nofile=2:1", "nofile=x", "nofile=1:2:3", "nofile=-1:5"])
})

test("cpus, sysctls, rates, weights, rules", () => {
  taken(check.cpus, ["1", "1.5", ".5", "0.000000001"])
  refused(check.cpus, ["", "x", "-1", "0.0000000001"])
  taken(check.sysctl, ["net.ipv4.ip_forward=1", "kernel.shmmax=1", "fs.mqueue.msg_max=1"])
  refused(check.sysctl, ["kernel.panic=1", "x", "net.ipv4.ip_forward"])
  taken(check.bytesRate, ["/dev/sda:1mb", "/dev/sda:5"])
  refused(check.bytesRate, ["x", "sda:1", "/dev/sda:x"])
  refused(check.operationsRate, ["/dev/sda:1mb"])
  taken(check.deviceWeight, ["/dev/sda:10", "/dev/sda:0"])
  refused(check.deviceWeight, ["/dev/sda:5", "/dev/sda:1001"])
  taken(check.deviceRule, ["c 1:* rwm", "a *:* r"])
  refused(check.deviceRule, ["x", "c 1:2", "c 1:2 q"])
})
