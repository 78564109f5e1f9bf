// sloop system dial-stdio: standard input and output as a connection to the engine, for DOCKER_HOST=ssh://…
import { readStandardInput } from "../../input.ts"
import type { Verb } from "../../verb.ts"

export const verb: Verb = {
  usage: "",
  summary: "Proxy the stdio stream to the daemon connection",
  flags: [],
  interspersed: true,
  least: 0,
  most: 0,
  async run({ client, out }) {
    const connection = await client.dial()
    const say = async (): Promise<void> => {
      for await (const bytes of readStandardInput()) await connection.write(bytes)
      // Half a close: the engine may have more to say.
      connection.endWriting()
    }
    say().catch(() => connection.close())
    for (let bytes = await connection.read(); bytes !== undefined; bytes = await connection.read()) {
      await out.write(bytes)
    }
    return 0
  },
}
