// One INIT packet of sctp through raw sockets: the kernel's connection tracking knows sctp, even where its sockets do not.
//   sctp-packets send ADDRESS PORT    sctp-packets hear PORT (prints where the first one comes from)
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SCTP = 132, INIT_BYTES = 20, COMMON_BYTES = 12, OWN_PORT = 40000 };

static uint32_t crc32c(const uint8_t *bytes, size_t length) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
  }
  return ~crc;
}

static void put16(uint8_t *at, unsigned value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }

static int send_init(const char *address, unsigned port) {
  uint8_t packet[COMMON_BYTES + INIT_BYTES] = {0}, *init = packet + COMMON_BYTES;
  struct sockaddr_in to = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_RAW, SCTP);
  put16(packet, OWN_PORT);
  put16(packet + 2, port);
  init[0] = 1;  // INIT
  put16(init + 2, INIT_BYTES);
  init[7] = 1;                 // its tag
  init[9] = 1;                 // window, 64 KiB
  put16(init + 12, 1);         // streams out
  put16(init + 14, 1);         // streams in
  init[19] = 1;                // first number
  uint32_t sum = crc32c(packet, sizeof packet);
  for (int i = 0; i < 4; i++) packet[8 + i] = (uint8_t)(sum >> 8 * i);
  if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1) return 1;
  return sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) != sizeof packet;
}

static int hear(unsigned port) {
  uint8_t packet[2048];
  int fd = socket(AF_INET, SOCK_RAW, SCTP);
  if (fd < 0) return 1;
  puts("listening");
  fflush(stdout);
  for (;;) {
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
    size_t header = (size_t)(packet[0] & 15) * 4;
    if (got < (ssize_t)(header + COMMON_BYTES) || (packet[header + 2] << 8 | packet[header + 3]) != (int)port) continue;
    puts(inet_ntoa(from.sin_addr));
    return 0;
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "send")) return send_init(argv[2], (unsigned)atoi(argv[3]));
  return argc == 3 && !strcmp(argv[1], "hear") ? hear((unsigned)atoi(argv[2])) : 2;
}
