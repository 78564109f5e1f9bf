import { expect, test } from "bun:test"
import { compileTemplate } from "./template.ts"

const value = {
  Id: "abc",
  Names: ["/a", "/b"],
  State: { Status: "running", ExitCode: 0, Running: true },
  Config: { Labels: { "com.x": "1", y: "2" }, Env: null },
  NetworkSettings: {
    Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] },
    Networks: { bridge: { IPAddress: "172.17.0.2" } },
  },
}
const render = (template: string) => compileTemplate(template)(value)

const cases: readonly (readonly [template: string, result: string])[] = [
  ["{{.Id}}", "abc"],
  ["{{.State.Status}} {{.State.ExitCode}}", "running 0"],
  ["{{json .Names}}", '["/a","/b"]'],
  ["{{.Names}}", "[/a /b]"],
  ["{{.Config.Labels}}", "map[com.x:1 y:2]"],
  ['{{join .Names ", "}}', "/a, /b"],
  ["{{.Id | upper}}", "ABC"],
  ['{{index .Config.Labels "com.x"}}', "1"],
  ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"],
  ["{{range .Names}}<{{.}}>{{end}}", "</a></b>"],
  ["{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}}{{end}}", "bridge=172.17.0.2"],
  ["{{if .State.Running}}up{{else}}down{{end}}", "up"],
  ['{{if eq .State.Status "exited"}}x{{else if eq .State.Status "running"}}y{{else}}z{{end}}', "y"],
  ["{{len .Names}}", "2"],
  ["{{with .State}}{{.Status}}{{end}}", "running"],
  ['{{printf "%-6s|%03d" .Id 7}}', "abc   |007"],
  ["{{println .Id}}", "abc\n"],
  ["a {{- .Id -}} b", "aabcb"],
  ["{{/* nothing */}}x", "x"],
  ["{{.Config.Env}} {{.Config.Volumes}} {{.Config.Healthcheck}}", "[] map[] <nil>"],
  ["{{if .State.Health}}x{{else}}none{{end}}", "none"],
  ["{{.NetworkSettings.Networks.bridge.IPAMConfig}}", "<nil>"],
  ["{{json .Config.Env}}", "null"],
  ["{{.Config.Labels.nothing}}", "<no value>"],
  ['{{"a\\tb"}}', "a\tb"],
  ["{{$x := .Id}}{{$x}}{{$.Id}}", "abcabc"],
  ['{{split "a:b" ":" | json}}', '["a","b"]'],
]
for (const [template, result] of cases) test(template, () => expect(render(template)).toBe(result))

test("mistakes are told", () => {
  expect(() => render("{{.Nope}}")).toThrow('at <.Nope>: map has no entry for key "Nope"')
  expect(() => render("{{nope .Id}}")).toThrow('function "nope" not defined')
  expect(() => render("{{if .Id}}")).toThrow("unexpected EOF")
  expect(() => render("{{.Id")).toThrow("unclosed action")
})
