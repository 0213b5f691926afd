// SPDX-License-Identifier: Apache-2.0
/* The XDP program: TCP to one of our (address, port) pairs goes to the AF_XDP socket of the queue it
 * arrived on; every other packet goes to the kernel, as does ours where no socket listens.
 *
 * It holds no policy: bypass/xdp/program.py fills the maps. IPv4 (with or without options) and IPv6,
 * untagged or with one VLAN tag. Fragments, IPv6 extension headers and anything cut short are left to
 * the kernel, which can reassemble and answer them.
 *
 * It calls no helper that the kernel keeps for GPL programs, so its licence is that of the project.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET_MASK 0x1fff

struct vlan_header {
    __be16 tag;
    __be16 ethertype;
};

/* An IPv4 address is mapped: ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct target {
    __be32 address[4];
    __be16 port;
    __u16 reserved;
};

/* One counter per outcome; bypass/xdp/program.py names them in this order. */
enum outcome {
    REDIRECTED,
    NO_SOCKET,             /* ours, but no socket on this queue: to the kernel */
    PASSED_OTHER,          /* not TCP over IP, or not to one of our pairs */
    PASSED_FRAGMENT,
    PASSED_EXTENSION,      /* IPv6 with a header between IP and TCP */
    PASSED_TRUNCATED,
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
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, OUTCOMES);
    __type(key, __u32);
    __type(value, __u64);
} outcomes SEC(".maps");

/* By receive queue: packets to one of our pairs for which no socket was there. */
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

static __always_inline int steer(struct xdp_md *context, const struct target *target)
{
    __u32 queue = context->rx_queue_index;
    __u64 *missed;
    int action;
    if (!bpf_map_lookup_elem(&targets, target))
        return count(PASSED_OTHER, XDP_PASS);
    action = bpf_redirect_map(&sockets, queue, XDP_PASS);
    if (action == XDP_REDIRECT)
        return count(REDIRECTED, action);
    missed = bpf_map_lookup_elem(&unserved, &queue);
    if (missed)
        __sync_fetch_and_add(missed, 1);
    return count(NO_SOCKET, action);
}

static __always_inline int steer_ipv4(struct xdp_md *context, void *start, void *end)
{
    struct iphdr *ip = start;
    struct tcphdr *tcp;
    struct target target = {};
    if ((void *)(ip + 1) > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    if (ip->protocol != IPPROTO_TCP || ip->version != 4)
        return count(PASSED_OTHER, XDP_PASS);
    if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_OFFSET_MASK))
        return count(PASSED_FRAGMENT, XDP_PASS);
    tcp = start + ip->ihl * 4;
    if (ip->ihl < 5 || (void *)(tcp + 1) > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    target.address[2] = bpf_htonl(0xffff);
    target.address[3] = ip->daddr;
    target.port = tcp->dest;
    return steer(context, &target);
}

static __always_inline int steer_ipv6(struct xdp_md *context, void *start, void *end)
{
    struct ipv6hdr *ip = start;
    struct tcphdr *tcp = (void *)(ip + 1);
    struct target target = {};
    if ((void *)tcp > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    if (ip->nexthdr == IPPROTO_FRAGMENT)
        return count(PASSED_FRAGMENT, XDP_PASS);
    if (ip->nexthdr == IPPROTO_HOPOPTS || ip->nexthdr == IPPROTO_ROUTING || ip->nexthdr == IPPROTO_DSTOPTS)
        return count(PASSED_EXTENSION, XDP_PASS);
    if (ip->nexthdr != IPPROTO_TCP)
        return count(PASSED_OTHER, XDP_PASS);
    if ((void *)(tcp + 1) > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    __builtin_memcpy(target.address, &ip->daddr, sizeof(target.address));
    target.port = tcp->dest;
    return steer(context, &target);
}

SEC("xdp")
int bypass_redirect(struct xdp_md *context)
{
    void *end = (void *)(long)context->data_end;
    struct ethhdr *ethernet = (void *)(long)context->data;
    void *start = ethernet + 1;
    __be16 ethertype;
    if (start > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    ethertype = ethernet->h_proto;
    if (ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD)) {
        struct vlan_header *vlan = start;
        start = vlan + 1;
        if (start > end)
            return count(PASSED_TRUNCATED, XDP_PASS);
        ethertype = vlan->ethertype;
    }
    if (ethertype == bpf_htons(ETH_P_IP))
        return steer_ipv4(context, start, end);
    if (ethertype == bpf_htons(ETH_P_IPV6))
        return steer_ipv6(context, start, end);
    return count(PASSED_OTHER, XDP_PASS);
}

char licence[] SEC("license") = "Apache-2.0";
