"""The kernel's AF_XDP interface as Cython sees it: abi/xdp.h and abi/xdp_calls.h, nothing of our own."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "abi/xdp.h" nogil:
    enum:
        XSK_RX_RING
        XSK_TX_RING
        XSK_FILL_RING
        XSK_COMPLETION_RING
        XSK_MAX_TX_SKB_BUDGET
        XSK_BIND_COPY
        XSK_BIND_ZEROCOPY
        XSK_BIND_NEED_WAKEUP
        XSK_OPTIONS_ZEROCOPY
        XSK_RING_NEED_WAKEUP
        XSK_SO_SNDBUF
        XSK_SO_SNDBUFFORCE
        XSK_SO_BUSY_POLL
        XSK_SO_PREFER_BUSY_POLL
        XSK_SO_BUSY_POLL_BUDGET

    const uint64_t XSK_PAGE_RX_RING
    const uint64_t XSK_PAGE_TX_RING
    const uint64_t XSK_PAGE_FILL_RING
    const uint64_t XSK_PAGE_COMPLETION_RING

    ctypedef struct XskRingOffset "struct xsk_ring_offset":
        uint64_t producer
        uint64_t consumer
        uint64_t desc
        uint64_t flags

    ctypedef struct XskMmapOffsets "struct xsk_mmap_offsets":
        XskRingOffset rx
        XskRingOffset tx
        XskRingOffset fill
        XskRingOffset completion

    ctypedef struct XskStatistics "struct xsk_statistics":
        uint64_t rx_dropped
        uint64_t rx_invalid_descs
        uint64_t tx_invalid_descs
        uint64_t rx_ring_full
        uint64_t rx_fill_ring_empty_descs
        uint64_t tx_ring_empty_descs

    ctypedef struct XskDesc "struct xsk_desc":
        uint64_t addr
        uint32_t len
        uint32_t options

cdef extern from "abi/xdp_calls.h" nogil:
    # Each returns 0 (or a descriptor, or flags), else -errno.
    int xsk_socket()
    int xsk_set(int fd, int name, int value)
    int xsk_set_generic(int fd, int name, int value)
    int xsk_register_umem(int fd, void *addr, uint64_t len, uint32_t chunk_bytes)
    int xsk_offsets(int fd, XskMmapOffsets *offsets)
    int xsk_bind(int fd, uint32_t ifindex, uint32_t queue, uint16_t flags)
    int xsk_options(int fd)
    int xsk_read_statistics(int fd, XskStatistics *statistics)
    int xsk_kick_tx(int fd)
    int xsk_kick_rx(int fd)
    void *xsk_map_ring(int fd, uint64_t page, uint64_t bytes)     # NULL and errno
