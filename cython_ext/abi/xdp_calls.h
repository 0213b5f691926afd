/* The system calls of the AF_XDP driver, one function each: 0 or a descriptor, else -errno. */
#ifndef BYPASS_ABI_XDP_CALLS_H
#define BYPASS_ABI_XDP_CALLS_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp.h"

static inline int xsk_result(long result) { return result < 0 ? -errno : (int)result; }

static inline int xsk_socket(void) { return xsk_result(socket(XSK_AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)); }

static inline int xsk_set(int fd, int name, int value)
{
    return xsk_result(setsockopt(fd, XSK_SOL_XDP, name, &value, sizeof(value)));
}

static inline int xsk_set_generic(int fd, int name, int value)
{
    return xsk_result(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)));
}

/* Pins the memory: `len` octets at `addr`, in chunks. */
static inline int xsk_register_umem(int fd, void *addr, uint64_t len, uint32_t chunk_bytes)
{
    struct xsk_umem_reg region;
    memset(&region, 0, sizeof(region));
    region.addr = (uint64_t)(uintptr_t)addr;
    region.len = len;
    region.chunk_bytes = chunk_bytes;
    return xsk_result(setsockopt(fd, XSK_SOL_XDP, XSK_UMEM_REG, &region, sizeof(region)));
}

/* -EPROTONOSUPPORT: a kernel before 5.4, whose rings have no flags word. */
static inline int xsk_offsets(int fd, struct xsk_mmap_offsets *offsets)
{
    socklen_t size = sizeof(*offsets);
    if (getsockopt(fd, XSK_SOL_XDP, XSK_MMAP_OFFSETS, offsets, &size) != 0)
        return -errno;
    return size == sizeof(*offsets) ? 0 : -EPROTONOSUPPORT;
}

static inline int xsk_bind(int fd, uint32_t ifindex, uint32_t queue, uint16_t flags)
{
    struct xsk_address address;
    memset(&address, 0, sizeof(address));
    address.family = XSK_AF_XDP;
    address.flags = flags;
    address.ifindex = ifindex;
    address.queue = queue;
    return xsk_result(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
}

/* The XSK_OPTIONS_* flags (never negative), or -errno. */
static inline int xsk_options(int fd)
{
    uint32_t flags = 0;
    socklen_t size = sizeof(flags);
    if (getsockopt(fd, XSK_SOL_XDP, XSK_OPTIONS, &flags, &size) != 0)
        return -errno;
    return (int)(flags & 0x7fffffffu);
}

/* Fields that an old kernel lacks stay 0. */
static inline int xsk_read_statistics(int fd, struct xsk_statistics *statistics)
{
    socklen_t size = sizeof(*statistics);
    memset(statistics, 0, sizeof(*statistics));
    return xsk_result(getsockopt(fd, XSK_SOL_XDP, XSK_STATISTICS, statistics, &size));
}

/* Maps `bytes` of a ring; NULL with errno when that fails. */
static inline void *xsk_map_ring(int fd, uint64_t page, uint64_t bytes)
{
    void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);
    return mapping == MAP_FAILED ? NULL : mapping;
}

/* "Send what is in the TX ring." */
static inline int xsk_kick_tx(int fd) { return xsk_result(sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0)); }

/* "Post what is in the fill ring", and one round of busy polling where that is on. */
static inline int xsk_kick_rx(int fd) { return xsk_result(recvfrom(fd, NULL, 0, MSG_DONTWAIT, NULL, NULL)); }

#endif
