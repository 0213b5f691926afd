// SPDX-License-Identifier: Apache-2.0
/* The maps of the XDP program: what bypass/xdp/program.py fills in, and what the program counts. */
#ifndef BYPASS_XDP_MAPS_H
#define BYPASS_XDP_MAPS_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* An IPv4 address is mapped: ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct address {
    __be32 words[4];
};

struct target {
    struct address address;
    __be16 port;
    __u16 reserved;
};

/* The version stands in front, so that ::/0 holds no IPv4 address. */
struct prefix {
    __u32 bits;            /* of what follows: 32 more than IPv6's own prefix length, 128 more than IPv4's */
    __be32 version;
    struct address address;
};

/* syn_interval_ns: between two connection requests of one source, 0 for no limit; syn_tolerance_ns: how
 * far ahead of that a source may be. own_addresses: how many entries `own` has. */
struct settings {
    __u64 syn_interval_ns;
    __u64 syn_tolerance_ns;
    __u32 own_addresses;
    __u32 reserved;
};

/* One counter per outcome; bypass/xdp/program.py names them in this order. */
enum outcome {
    REDIRECTED,
    NO_SOCKET,             /* ours, but no socket on this queue: to the kernel */
    PASSED_OTHER,          /* not TCP over IP, or not to one of our pairs */
    PASSED_FRAGMENT,
    PASSED_EXTENSION,      /* IPv6 with a header between IP and TCP */
    PASSED_TRUNCATED,
    REDIRECTED_OWN,        /* ARP, neighbour discovery, echo: about an address that the kernel does not have */
    REDIRECTED_PATH_MTU,   /* ICMP "fragmentation needed", ICMPv6 "packet too big" that quote our TCP */
    DROPPED_BLOCKED,       /* from a blocked source */
    DROPPED_SYN_RATE,      /* more connection requests than one source may make */
    DROPPED_OWN,           /* to an address of our own, and nothing that we answer */
    OUTCOMES
};

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct target);
    __type(value, __u32);
} targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, struct address);
    __type(value, __u32);
} own SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct settings);
} settings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct prefix);
    __type(value, __u32);
} blocked SEC(".maps");

/* Source (IPv6: its /64) -> when its next connection request is due. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct address);
    __type(value, __u64);
} syn_due SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, OUTCOMES);
    __type(key, __u32);
    __type(value, __u64);
} outcomes SEC(".maps");

/* By receive queue: packets for us that met no socket. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} unserved SEC(".maps");

static __always_inline int count(__u32 outcome, int action)
{
    __u64 *counter = bpf_map_lookup_elem(&outcomes, &outcome);
    if (counter)
        (*counter)++;
    return action;
}

static __always_inline const struct settings *settings_now(void)
{
    __u32 first = 0;
    return bpf_map_lookup_elem(&settings, &first);
}

/* Whether we, and not the kernel, have this address. */
static __always_inline int is_own(const struct address *address)
{
    const struct settings *now = settings_now();
    return now && now->own_addresses && bpf_map_lookup_elem(&own, address);
}

/* A packet that is nothing of ours: to the kernel. But where we alone have the address that it is for,
 * the kernel could only forward it back to the link. */
static __always_inline int leave(const struct address *to, enum outcome why)
{
    return is_own(to) ? count(DROPPED_OWN, XDP_DROP) : count(why, XDP_PASS);
}

static __always_inline int redirect(struct xdp_md *context, enum outcome why)
{
    __u32 queue = context->rx_queue_index;
    int action = bpf_redirect_map(&sockets, queue, XDP_PASS);
    __u64 *missed;
    if (action == XDP_REDIRECT)
        return count(why, action);
    missed = bpf_map_lookup_elem(&unserved, &queue);
    if (missed)
        __sync_fetch_and_add(missed, 1);
    return count(NO_SOCKET, action);
}

#endif
