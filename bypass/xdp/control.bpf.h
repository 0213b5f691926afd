// SPDX-License-Identifier: Apache-2.0
/* What is not TCP and still ours: ARP, neighbour discovery and echo about addresses that we alone have,
 * and ICMP errors on the path MTU of our TCP. Contents are checked in user space.
 */
#ifndef BYPASS_XDP_CONTROL_H
#define BYPASS_XDP_CONTROL_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "guard.bpf.h"
#include "maps.bpf.h"

#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_TOO_BIG 2
#define ICMPV6_ECHO 128
#define ICMPV6_SOLICITATION 135
#define ICMPV6_ADVERTISEMENT 136

struct arp_ipv4 {
    __be16 hardware;
    __be16 protocol;
    __u8 hardware_octets;
    __u8 protocol_octets;
    __be16 operation;
    __u8 sender_mac[6];
    __u8 sender[4];
    __u8 target_mac[6];
    __u8 target[4];
};

struct icmp_header {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be32 rest;
};

struct ports_and_sequence {
    __be16 source;
    __be16 destination;
    __be32 sequence;
};

static __always_inline void map_ipv4(struct address *address, const void *ipv4)
{
    address->words[0] = address->words[1] = 0;
    address->words[2] = bpf_htonl(0xffff);
    __builtin_memcpy(&address->words[3], ipv4, 4);
}

/* RFC 826: who asks for our address, and who claims to have it. */
static __always_inline int steer_arp(struct xdp_md *context, void *start, void *end)
{
    struct arp_ipv4 *arp = start;
    struct address sender, target;
    if ((void *)(arp + 1) > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    map_ipv4(&sender, arp->sender);
    map_ipv4(&target, arp->target);
    if (is_own(&target) || is_own(&sender))
        return redirect(context, REDIRECTED_OWN);
    return count(PASSED_OTHER, XDP_PASS);
}

static __always_inline int steer_echo(
    struct xdp_md *context, const struct address *from, const struct address *to)
{
    if (!is_own(to))
        return count(PASSED_OTHER, XDP_PASS);
    if (is_blocked(from))
        return count(DROPPED_BLOCKED, XDP_DROP);
    return redirect(context, REDIRECTED_OWN);
}

/* `target` is the source of a quoted segment. */
static __always_inline int steer_path_mtu(
    struct xdp_md *context, const struct address *to, const struct target *target)
{
    if (!bpf_map_lookup_elem(&targets, target))
        return leave(to, PASSED_OTHER);
    return redirect(context, REDIRECTED_PATH_MTU);
}

/* An error that quotes IPv4 and TCP (RFC 792). */
static __always_inline int steer_quoted_ipv4(
    struct xdp_md *context, const struct address *to, void *start, void *end)
{
    struct iphdr *ip = start;
    struct ports_and_sequence *tcp;
    struct target target = {};
    if ((void *)(ip + 1) > end)
        return leave(to, PASSED_TRUNCATED);
    if (ip->version != 4 || ip->protocol != IPPROTO_TCP)
        return leave(to, PASSED_OTHER);
    tcp = start + ip->ihl * 4;
    if (ip->ihl < 5 || (void *)(tcp + 1) > end)
        return leave(to, PASSED_TRUNCATED);
    map_ipv4(&target.address, &ip->saddr);
    target.port = tcp->source;
    return steer_path_mtu(context, to, &target);
}

static __always_inline int steer_icmp(
    struct xdp_md *context, const struct address *from, const struct address *to, void *start, void *end)
{
    struct icmp_header *icmp = start;
    if ((void *)(icmp + 1) > end)
        return leave(to, PASSED_TRUNCATED);
    if (icmp->type == ICMP_ECHO_REQUEST)
        return steer_echo(context, from, to);
    if (icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_FRAGMENTATION_NEEDED)
        return steer_quoted_ipv4(context, to, icmp + 1, end);
    return leave(to, PASSED_OTHER);
}

/* An error that quotes IPv6 and TCP (RFC 4443 3.2). */
static __always_inline int steer_quoted_ipv6(
    struct xdp_md *context, const struct address *to, void *start, void *end)
{
    struct ipv6hdr *ip = start;
    struct ports_and_sequence *tcp = (void *)(ip + 1);
    struct target target = {};
    if ((void *)(tcp + 1) > end)
        return leave(to, PASSED_TRUNCATED);
    if (ip->nexthdr != IPPROTO_TCP)
        return leave(to, PASSED_OTHER);
    __builtin_memcpy(&target.address, &ip->saddr, sizeof(target.address));
    target.port = tcp->source;
    return steer_path_mtu(context, to, &target);
}

/* Neighbour discovery (RFC 4861) goes by the address it is about: it comes to a group address. */
static __always_inline int steer_icmpv6(
    struct xdp_md *context, const struct address *from, const struct address *to, void *start, void *end)
{
    struct icmp_header *icmp = start;
    struct address about;
    if ((void *)(icmp + 1) > end)
        return leave(to, PASSED_TRUNCATED);
    if (icmp->type == ICMPV6_ECHO)
        return steer_echo(context, from, to);
    if (icmp->type == ICMPV6_TOO_BIG)
        return steer_quoted_ipv6(context, to, icmp + 1, end);
    if (icmp->type != ICMPV6_SOLICITATION && icmp->type != ICMPV6_ADVERTISEMENT)
        return leave(to, PASSED_OTHER);
    if ((void *)(icmp + 1) + sizeof(about) > end)
        return leave(to, PASSED_TRUNCATED);
    __builtin_memcpy(&about, icmp + 1, sizeof(about));
    return is_own(&about) ? redirect(context, REDIRECTED_OWN) : leave(to, PASSED_OTHER);
}

#endif
