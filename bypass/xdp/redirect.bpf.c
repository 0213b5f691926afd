// SPDX-License-Identifier: Apache-2.0
/* The XDP program: TCP to one of our (address, port) pairs goes to the AF_XDP socket of the queue it
 * arrived on; every other packet goes to the kernel, as does ours where no socket listens. Blocked and
 * over-eager sources (guard.bpf.h) are dropped here. What is ours beside TCP is in control.bpf.h.
 *
 * It holds no policy: bypass/xdp/program.py fills the maps (maps.bpf.h). IPv4 (with or without options) and
 * IPv6, untagged or with one VLAN tag. Fragments, IPv6 extension headers and anything cut short are left to
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

#include "control.bpf.h"
#include "guard.bpf.h"
#include "maps.bpf.h"

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET_MASK 0x1fff

struct vlan_header {
    __be16 tag;
    __be16 ethertype;
};

static __always_inline int steer_tcp(
    struct xdp_md *context, const struct address *from, const struct target *target, const struct tcphdr *tcp)
{
    if (!bpf_map_lookup_elem(&targets, target))
        return leave(&target->address, PASSED_OTHER);
    if (is_blocked(from))
        return count(DROPPED_BLOCKED, XDP_DROP);
    if (tcp->syn && !tcp->ack && syn_is_too_many(from))
        return count(DROPPED_SYN_RATE, XDP_DROP);
    return redirect(context, REDIRECTED);
}

static __always_inline int steer_ipv4(struct xdp_md *context, void *start, void *end)
{
    struct iphdr *ip = start;
    struct tcphdr *tcp;
    struct address from;
    struct target target = {};
    if ((void *)(ip + 1) > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    map_ipv4(&from, &ip->saddr);
    map_ipv4(&target.address, &ip->daddr);
    if ((ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_ICMP) || ip->version != 4)
        return leave(&target.address, PASSED_OTHER);
    if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_OFFSET_MASK))
        return leave(&target.address, PASSED_FRAGMENT);
    tcp = start + ip->ihl * 4;
    if (ip->ihl < 5)
        return leave(&target.address, PASSED_TRUNCATED);
    if (ip->protocol == IPPROTO_ICMP)
        return steer_icmp(context, &from, &target.address, tcp, end);
    if ((void *)(tcp + 1) > end)
        return leave(&target.address, PASSED_TRUNCATED);
    target.port = tcp->dest;
    return steer_tcp(context, &from, &target, tcp);
}

static __always_inline int steer_ipv6(struct xdp_md *context, void *start, void *end)
{
    struct ipv6hdr *ip = start;
    struct tcphdr *tcp = (void *)(ip + 1);
    struct address from;
    struct target target = {};
    if ((void *)tcp > end)
        return count(PASSED_TRUNCATED, XDP_PASS);
    __builtin_memcpy(&from, &ip->saddr, sizeof(from));
    __builtin_memcpy(&target.address, &ip->daddr, sizeof(target.address));
    if (ip->nexthdr == IPPROTO_FRAGMENT)
        return leave(&target.address, PASSED_FRAGMENT);
    if (ip->nexthdr == IPPROTO_HOPOPTS || ip->nexthdr == IPPROTO_ROUTING || ip->nexthdr == IPPROTO_DSTOPTS)
        return leave(&target.address, PASSED_EXTENSION);
    if (ip->nexthdr == IPPROTO_ICMPV6)
        return steer_icmpv6(context, &from, &target.address, tcp, end);
    if (ip->nexthdr != IPPROTO_TCP)
        return leave(&target.address, PASSED_OTHER);
    if ((void *)(tcp + 1) > end)
        return leave(&target.address, PASSED_TRUNCATED);
    target.port = tcp->dest;
    return steer_tcp(context, &from, &target, tcp);
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
    if (ethertype == bpf_htons(ETH_P_ARP))
        return steer_arp(context, start, end);
    return count(PASSED_OTHER, XDP_PASS);
}

char licence[] SEC("license") = "Apache-2.0";
