// SHA-256 of bytes that come piece by piece; with the processor's own instructions where it has them.
#ifndef SLOOP_SHA256_H
#define SLOOP_SHA256_H
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 };

struct sha256 {
  uint32_t state[8];
  uint64_t total;  // bytes so far
  uint8_t rest[SHA256_BLOCK];
};

void sha256_open(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t count);
void sha256_close(struct sha256 *hash, uint8_t digest[SHA256_BYTES]);
// Writes 64 hexadecimal digits and NUL.
void sha256_text(const uint8_t digest[SHA256_BYTES], char text[2 * SHA256_BYTES + 1]);
#endif
