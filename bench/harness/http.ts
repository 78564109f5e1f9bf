// A lean Engine API client over one keep-alive agent: what the API alone costs, without the docker client.
import { Agent, request } from "node:http"

export class EngineHttp {
  readonly #socket: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  constructor(socket: string) {
    this.#socket = socket
  }

  call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers = payload
        ? { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(payload) }
        : {}
      const call = request(
        { socketPath: this.#socket, method, path: `/v1.50${path}`, headers, agent: this.#agent },
        (response) => {
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => {
            text += chunk
          })
          response.on("end", () => resolve({ status: response.statusCode ?? 0, text }))
          response.on("error", reject)
        },
      )
      call.on("error", reject)
      call.end(payload)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
