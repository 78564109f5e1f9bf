// One question to one upstream server: by UDP, and by TCP when the answer does not fit a datagram.
import { createSocket } from "node:dgram"
import { connect, isIPv6 } from "node:net"
import { failure } from "../../base/errors.ts"
import { HEADER, isResponse, isTruncated, LARGEST } from "./message.ts"

/** Milliseconds. */
const TCP_TIMEOUT = 5000
const PORT = 53

/** Whether an answer belongs to a query: its number and its question, letter case aside. */
export const belongs = (answer: Buffer, query: Buffer, end: number): boolean => {
  if (!isResponse(answer) || answer.length < end || answer.readUInt16BE(0) !== query.readUInt16BE(0))
    return false
  if (answer.readUInt16BE(4) !== 1) return false
  for (let at = HEADER; at < end; at++) {
    const one = answer[at] ?? 0
    const other = query[at] ?? 0
    if (one === other) continue
    const letter = one | 0x20
    if (letter !== (other | 0x20) || letter < 0x61 || letter > 0x7a) return false
  }
  return true
}

/**
 * Asks; resolves with the answer, by TCP if the one by UDP is truncated. Rejects when the server cannot be reached or the
 * signal ends it: without a signal it waits for ever. `end` is where the question ends in `query`. A socket of its own for
 * each query gives each a random source port, and the kernel drops what does not come from the server.
 */
export const exchange = async (
  server: string,
  query: Buffer,
  end: number,
  signal: AbortSignal,
): Promise<Buffer> => {
  const answer = await byDatagram(server, query, end, signal)
  if (!isTruncated(answer)) return answer
  // Better a truncated answer than none.
  return byStream(server, query, end, signal).catch(() => answer)
}

const byDatagram = (server: string, query: Buffer, end: number, signal: AbortSignal): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.replace(/%.*$/, "")) ? "udp6" : "udp4")
    const finish = (act: () => void): void => {
      signal.removeEventListener("abort", abort)
      socket.removeAllListeners("message")
      try {
        socket.close()
      } catch {
        // it was never open
      }
      act()
    }
    const abort = (): void =>
      finish(() => reject(failure("cancelled", `${server} was not waited for any longer`)))
    const fail = (error: unknown): void =>
      finish(() =>
        reject(failure("unavailable", `name server ${server} cannot be reached`, { cause: error })),
      )
    socket.on("error", fail)
    socket.on("message", (bytes: Buffer) => {
      if (belongs(bytes, query, end)) finish(() => resolve(bytes))
    })
    if (signal.aborted) return abort()
    signal.addEventListener("abort", abort)
    try {
      socket.connect(PORT, server, () => {
        try {
          socket.send(query, (error) => {
            if (error) fail(error)
          })
        } catch (error) {
          fail(error)
        }
      })
    } catch (error) {
      fail(error)
    }
  })

const byStream = (server: string, query: Buffer, end: number, signal: AbortSignal): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: server, port: PORT })
    let got = Buffer.alloc(0)
    const finish = (act: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", abort)
      socket.destroy()
      act()
    }
    const abort = (): void =>
      finish(() => reject(failure("cancelled", `${server} was not waited for any longer`)))
    const fail = (error?: unknown): void =>
      finish(() =>
        reject(failure("unavailable", `name server ${server} gave no answer by TCP`, { cause: error })),
      )
    const timer = setTimeout(fail, TCP_TIMEOUT)
    signal.addEventListener("abort", abort)
    socket.on("error", fail)
    socket.on("close", () => fail())
    socket.on("connect", () => {
      const prefix = Buffer.alloc(2)
      prefix.writeUInt16BE(query.length)
      socket.write(Buffer.concat([prefix, query]))
    })
    socket.on("data", (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      if (got.length > LARGEST + 2) return fail()
      if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return
      const answer = got.subarray(2, 2 + got.readUInt16BE(0))
      if (belongs(answer, query, end)) finish(() => resolve(answer))
      else fail()
    })
  })
