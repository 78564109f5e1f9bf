// Sockets that systemd opened for this process (LISTEN_FDS), and the word that it is ready (NOTIFY_SOCKET).
import { spawn } from "node:child_process"
import { connect, type Socket as NodeSocket } from "node:net"
import type { Socket } from "bun"
import { failure } from "../base/errors.ts"
import { createLog } from "../base/log.ts"

const log = createLog("daemon")

const FIRST = 3

/** Descriptors handed to this process; none when it was started in another way. What it starts itself shall not see them. */
export function inheritedSockets(env: NodeJS.ProcessEnv = process.env, pid = process.pid): number[] {
  const { LISTEN_PID, LISTEN_FDS } = env
  delete env.LISTEN_PID
  delete env.LISTEN_FDS
  delete env.LISTEN_FDNAMES
  if (Number(LISTEN_PID) !== pid) return []
  const count = Number(LISTEN_FDS)
  return Number.isInteger(count) && count > 0
    ? Array.from({ length: count }, (_, index) => FIRST + index)
    : []
}

interface Relayed {
  readonly upstream: NodeSocket
  /** Bytes for the client that its socket did not take yet. */
  held: Buffer[]
  ended: boolean
}

export interface Relay {
  stop(): void
}

/**
 * Answers an inherited socket by passing each connection on to the socket at `path`, with back-pressure and half-closes:
 * node's servers cannot listen on a descriptor here. Throws unavailable when the descriptor is no listening socket.
 */
export function relay(descriptor: number, path: string): Relay {
  const flush = (socket: Socket<Relayed>) => {
    const { held, upstream, ended } = socket.data
    for (let first = held[0]; first !== undefined; first = held[0]) {
      const taken = socket.write(first)
      if (taken < 0) return
      if (taken < first.length) {
        held[0] = first.subarray(taken)
        return
      }
      held.shift()
    }
    upstream.resume()
    if (ended) socket.end()
  }
  try {
    const listener = Bun.listen<Relayed>({
      // Bun listens on a descriptor, though its types know only of addresses.
      ...({ fd: descriptor } as unknown as { unix: string }),
      allowHalfOpen: true,
      socket: {
        binaryType: "buffer",
        open(socket) {
          const upstream = connect({ path, allowHalfOpen: true })
          socket.data = { upstream, held: [], ended: false }
          upstream.on("data", (chunk: Buffer) => {
            socket.data.held.push(chunk)
            upstream.pause()
            flush(socket)
          })
          upstream.on("end", () => {
            socket.data.ended = true
            flush(socket)
          })
          upstream.on("drain", () => socket.resume())
          upstream.on("close", () => {
            if (!socket.data.ended) socket.terminate()
          })
          upstream.on("error", () => socket.terminate())
        },
        data(socket, chunk) {
          if (!socket.data.upstream.write(chunk)) socket.pause()
        },
        drain: flush,
        end: (socket) => void socket.data.upstream.end(),
        close: (socket) => void socket.data.upstream.destroy(),
        error: (socket) => void socket.data.upstream.destroy(),
      },
    })
    return { stop: () => listener.stop(false) }
  } catch (cause) {
    throw failure(
      "unavailable",
      `descriptor ${descriptor} is no socket to listen on: start by a systemd socket unit`,
      {
        cause,
      },
    )
  }
}

/**
 * Tells systemd READY=1 or STOPPING=1 when it asked to be told. It listens on a datagram socket, which JavaScript here
 * cannot write to, so its own tool speaks (the unit allows it with NotifyAccess=all).
 */
export function notifySystemd(
  state: "READY=1" | "STOPPING=1",
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  if (!env.NOTIFY_SOCKET) return Promise.resolve()
  return new Promise((resolve) => {
    const told = spawn("systemd-notify", [`--pid=${process.pid}`, state], { env, stdio: "ignore" })
    told.once("error", (error) => {
      log.warn("systemd cannot be told", { state, error: error.message })
      resolve()
    })
    told.once("exit", () => resolve())
  })
}
