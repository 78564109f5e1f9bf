// JSON string escaping with Docker's choices: HTML-unsafe bytes escaped, invalid UTF-8 becomes \ufffd.
#include <stdbool.h>
#include <string.h>

#include "log.h"

// 0 copied as it is, 1 \u00XX, 2 begins a multi-byte sequence or is invalid, else the letter after a backslash.
static const unsigned char classes[256] = {
    [0 ... 9] = 1, ['\n'] = 'n', [11 ... 12] = 1, ['\r'] = 'r', [14 ... 31] = 1, ['"'] = '"', ['\\'] = '\\',
    ['<'] = 1,     ['>'] = 1,    ['&'] = 1,       [128 ... 255] = 2,
};

static bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// The length of the valid sequence at s, or 0.
static size_t sequence(const unsigned char *s, size_t left) {
  if (s[0] >= 0xc2 && s[0] <= 0xdf) return left >= 2 && continues(s[1]) ? 2 : 0;
  if (s[0] >= 0xe0 && s[0] <= 0xef) {
    if (left < 3 || !continues(s[1]) || !continues(s[2])) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    return s[0] == 0xed && s[1] > 0x9f ? 0 : 3;
  }
  if (s[0] < 0xf0 || s[0] > 0xf4) return 0;
  if (left < 4 || !continues(s[1]) || !continues(s[2]) || !continues(s[3])) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  return s[0] == 0xf4 && s[1] > 0x8f ? 0 : 4;
}

static char *escape_sequence(char *to, const unsigned char **at, const unsigned char *end) {
  const unsigned char *s = *at;
  size_t length = sequence(s, (size_t)(end - s));
  bool separator = length == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9);
  *at = s + (length ? length : 1);
  if (length && !separator) {
    memcpy(to, s, length);
    return to + length;
  }
  memcpy(to, !separator ? "\\ufffd" : s[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
  return to + 6;
}

typedef signed char block __attribute__((vector_size(16)));

// Copies whole blocks while they need no escaping; may write up to a block beyond what it counts.
static size_t copy_plain(char *to, const unsigned char *at, const unsigned char *end) {
  size_t copied = 0;
  while ((size_t)(end - at) - copied >= sizeof(block)) {
    block bytes;
    uint64_t halves[2];
    memcpy(&bytes, at + copied, sizeof bytes);
    // Signed: below a space is also every byte from 128 on. One comparison each for < and >, for " and &.
    block special = (bytes < ' ') | ((bytes | 2) == '>') | ((bytes | 4) == '&') | (bytes == '\\');
    memcpy(to + copied, &bytes, sizeof bytes);
    memcpy(halves, &special, sizeof halves);
    if (halves[0] | halves[1]) break;
    copied += sizeof bytes;
  }
  return copied;
}

size_t json_escape(char *out, const char *in, size_t length) {
  const unsigned char *at = (const unsigned char *)in, *end = at + length;
  char *to = out;
  while (at < end) {
    size_t plain = copy_plain(to, at, end);
    at += plain, to += plain;
    while (at < end && !classes[*at]) *to++ = (char)*at++;
    if (at == end) break;
    unsigned char class = classes[*at];
    if (class == 2) {
      to = escape_sequence(to, &at, end);
    } else if (class == 1) {
      memcpy(to, "\\u00", 4);
      to[4] = "0123456789abcdef"[*at >> 4];
      to[5] = "0123456789abcdef"[*at & 15];
      to += 6, at++;
    } else {
      *to++ = '\\';
      *to++ = (char)class;
      at++;
    }
  }
  return (size_t)(to - out);
}

size_t utf8_cut(const char *bytes, size_t length) {
  for (size_t back = 1; back <= 3 && back < length; back++) {
    unsigned char byte = (unsigned char)bytes[length - back];
    if (continues(byte)) continue;
    size_t needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return needs > back ? length - back : length;
  }
  return length;
}
