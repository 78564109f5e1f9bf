// Digests: "sha256:" and 64 hex digits name bytes by their hash.

/** Whether the text is a sha256 digest in its only accepted form. */
export const isDigest = (text: string): boolean => /^sha256:[0-9a-f]{64}$/.test(text)

/** The hex digits of a digest. */
export const digestHex = (digest: string): string => digest.slice("sha256:".length)
