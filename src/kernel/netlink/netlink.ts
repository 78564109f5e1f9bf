// Door of the netlink encoders and decoders. Pure: bytes in, bytes out; the launcher sends them.
export * from "./address.ts"
export { readReplies } from "./decode.ts"
export * from "./expression.ts"
export * from "./link.ts"
export type { Attribute, Encoded, Message } from "./message.ts"
export { encode, netlinkOperation } from "./message.ts"
export * from "./nftables.ts"
export * from "./route.ts"
