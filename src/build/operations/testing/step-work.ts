// Run by recover.test.ts as an engine that dies: step-work.ts DIRECTORY TAG. Runs a step that does not end and says when it has begun.
import { openStepGround } from "./ground.ts"

const [dataRoot = "", tag = ""] = process.argv.slice(2)
const ground = await openStepGround({ dataRoot, tag })
await ground.sh("echo begun; echo half > /half; trap '' TERM; while :; do sleep 1; done", {
  node: {
    mounts: [
      {
        type: "cache",
        id: "c",
        target: "/c",
        sharing: "locked",
        readOnly: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
        source: "",
      },
      { type: "bind", input: "scratch", source: "/", target: "/w", readOnly: false },
    ],
  },
  run: { report: () => process.stdout.write("begun\n") },
})
