/* The kernel's AF_XDP interface: option numbers, flags and structures.
 *
 * Declared here under our own names, because the headers of Debian 12 (Linux 6.1) lack XDP_USE_SG,
 * tx_metadata_len and XDP_MAX_TX_SKB_BUDGET. Source of every number: include/uapi/linux/if_xdp.h,
 * include/uapi/asm-generic/socket.h; meaning: Documentation/networking/af_xdp.rst.
 */
#ifndef BYPASS_ABI_XDP_H
#define BYPASS_ABI_XDP_H

#include <stddef.h>
#include <stdint.h>

enum xsk_family { XSK_AF_XDP = 44, XSK_SOL_XDP = 283 };

/* Socket options at level XSK_SOL_XDP. */
enum xsk_option {
    XSK_MMAP_OFFSETS = 1,          /* get: struct xsk_mmap_offsets */
    XSK_RX_RING = 2,               /* set: entries, a power of two */
    XSK_TX_RING = 3,
    XSK_UMEM_REG = 4,              /* set: struct xsk_umem_reg, whole and zeroed */
    XSK_FILL_RING = 5,
    XSK_COMPLETION_RING = 6,
    XSK_STATISTICS = 7,            /* get: struct xsk_statistics */
    XSK_OPTIONS = 8,               /* get: uint32_t flags */
    XSK_MAX_TX_SKB_BUDGET = 9      /* set: descriptors per sendto() in copy mode; Linux 6.17 */
};

/* struct xsk_address.flags: how to bind. */
enum xsk_bind_flag {
    XSK_BIND_SHARED_UMEM = 1 << 0,
    XSK_BIND_COPY = 1 << 1,
    XSK_BIND_ZEROCOPY = 1 << 2,
    XSK_BIND_NEED_WAKEUP = 1 << 3,
    XSK_BIND_USE_SG = 1 << 4       /* Linux 6.6 */
};

enum xsk_flag {
    XSK_OPTIONS_ZEROCOPY = 1 << 0,     /* XSK_OPTIONS: the device reads and writes the UMEM itself */
    XSK_RING_NEED_WAKEUP = 1 << 0      /* flags word of the fill and TX ring; the kernel writes it */
};

/* mmap() offsets of the four rings. */
#define XSK_PAGE_RX_RING          0ull
#define XSK_PAGE_TX_RING          0x80000000ull
#define XSK_PAGE_FILL_RING        0x100000000ull
#define XSK_PAGE_COMPLETION_RING  0x180000000ull

/* Received frames start this far into their chunk (XDP_PACKET_HEADROOM, aligned mode). */
#define XSK_PACKET_HEADROOM 256

/* Socket options at level SOL_SOCKET. */
enum xsk_socket_option {
    XSK_SO_SNDBUF = 7,
    XSK_SO_SNDBUFFORCE = 32,
    XSK_SO_BUSY_POLL = 46,
    XSK_SO_PREFER_BUSY_POLL = 69,
    XSK_SO_BUSY_POLL_BUDGET = 70
};

struct xsk_address {
    uint16_t family;
    uint16_t flags;
    uint32_t ifindex;
    uint32_t queue;
    uint32_t shared_umem_fd;
};

struct xsk_ring_offset {           /* bytes from the start of the ring's mapping */
    uint64_t producer;
    uint64_t consumer;
    uint64_t desc;
    uint64_t flags;
};

struct xsk_mmap_offsets {
    struct xsk_ring_offset rx;
    struct xsk_ring_offset tx;
    struct xsk_ring_offset fill;
    struct xsk_ring_offset completion;
};

/* A kernel that knows tx_metadata_len takes anything shorter for the 24-byte first version and
 * ignores `flags`: always all 32 bytes. */
struct xsk_umem_reg {
    uint64_t addr;
    uint64_t len;
    uint32_t chunk_bytes;
    uint32_t headroom;
    uint32_t flags;
    uint32_t tx_metadata_len;
};

struct xsk_statistics {
    uint64_t rx_dropped;
    uint64_t rx_invalid_descs;
    uint64_t tx_invalid_descs;
    uint64_t rx_ring_full;                 /* from here on Linux 5.9 */
    uint64_t rx_fill_ring_empty_descs;
    uint64_t tx_ring_empty_descs;
};

struct xsk_desc {                  /* entry of the RX and TX rings; fill and completion hold uint64_t */
    uint64_t addr;
    uint32_t len;
    uint32_t options;              /* an unknown bit makes a TX descriptor invalid: 0 */
};

_Static_assert(sizeof(struct xsk_address) == 16, "sockaddr_xdp");
_Static_assert(sizeof(struct xsk_ring_offset) == 32, "xdp_ring_offset");
_Static_assert(sizeof(struct xsk_mmap_offsets) == 128, "xdp_mmap_offsets");
_Static_assert(sizeof(struct xsk_umem_reg) == 32, "xdp_umem_reg");
_Static_assert(offsetof(struct xsk_umem_reg, flags) == 24, "xdp_umem_reg.flags");
_Static_assert(sizeof(struct xsk_statistics) == 48, "xdp_statistics");
_Static_assert(sizeof(struct xsk_desc) == 16, "xdp_desc");
_Static_assert(offsetof(struct xsk_desc, len) == 8, "xdp_desc.len");

#endif
