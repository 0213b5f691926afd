// SPDX-License-Identifier: Apache-2.0
/* Who may not come in: blocked sources, and sources that ask for too many connections a second.
 *
 * Looked at only for packets that are ours: what the kernel gets is not our business.
 */
#ifndef BYPASS_XDP_GUARD_H
#define BYPASS_XDP_GUARD_H

#include <bpf/bpf_endian.h>

#include "maps.bpf.h"

static __always_inline int version_of(const struct address *address)
{
    int mapped = !address->words[0] && !address->words[1] && address->words[2] == bpf_htonl(0xffff);
    return mapped ? 4 : 6;
}

static __always_inline int is_blocked(const struct address *source)
{
    struct prefix key = {.bits = 160, .version = bpf_htonl(version_of(source)), .address = *source};
    return bpf_map_lookup_elem(&blocked, &key) != 0;
}

/* A token bucket, kept as the time at which the next request is due (the virtual scheduling of ITU-T
 * I.371): one word for each source. Two CPUs that see one source at the same moment may let a request
 * more through. */
static __always_inline int syn_is_too_many(const struct address *source)
{
    const struct settings *now = settings_now();
    struct address key = *source;
    __u64 time_ns, first_due_ns, *due_ns;
    if (!now || !now->syn_interval_ns)
        return 0;
    if (version_of(source) == 6)
        key.words[2] = key.words[3] = 0;    /* one host has a whole /64 */
    time_ns = bpf_ktime_get_ns();
    due_ns = bpf_map_lookup_elem(&syn_due, &key);
    if (!due_ns) {
        first_due_ns = time_ns + now->syn_interval_ns;
        bpf_map_update_elem(&syn_due, &key, &first_due_ns, BPF_ANY);
        return 0;
    }
    if (*due_ns < time_ns)
        *due_ns = time_ns;
    else if (*due_ns - time_ns > now->syn_tolerance_ns)
        return 1;
    *due_ns += now->syn_interval_ns;
    return 0;
}

#endif
