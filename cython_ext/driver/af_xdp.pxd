"""The AF_XDP driver: one socket, its UMEM and four rings, for one queue of one interface.

Owns: opening in steps, draining and closing. The data path is driver/af_xdp_path.

    result = af_xdp_open(&socket, &config)      # 0, or -errno and socket.failed_stage
    af_xdp_driver(&socket, &driver)             # fills the contract; `socket` must not move any more
    ...
    af_xdp_close(&socket)                       # sends what is queued, then releases everything

Frames arrive once socket.fd is in the XSKMAP of the interface's XDP program, at key `queue`.
"""

from libc.errno cimport errno
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.mman cimport munmap
from posix.unistd cimport close as close_fd
from posix.unistd cimport usleep

from cython_ext.driver.af_xdp_path cimport (
    AF_XDP_STAGE_BIND,
    AF_XDP_STAGE_MEMORY,
    AF_XDP_STAGE_NONE,
    AF_XDP_STAGE_OPTIONS,
    AF_XDP_STAGE_RINGS,
    AF_XDP_STAGE_SOCKET,
    AF_XDP_STAGE_UMEM,
    AfXdp,
    AfXdpStage,
    af_xdp_alloc,
    af_xdp_frames_accounted,
    af_xdp_recycle,
    af_xdp_refill,
    af_xdp_rx_burst,
    af_xdp_stop_preferring,
    af_xdp_tx_burst,
    af_xdp_wakeup,
)
from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.ring cimport Ring
from cython_ext.driver.umem cimport umem_capacity, umem_close, umem_open
from cython_ext.driver.xdp_abi cimport *

cdef enum AfXdpMode:
    AF_XDP_AUTO = 0             # zero-copy where the driver can, else copy: the kernel decides
    AF_XDP_COPY = 1
    AF_XDP_ZERO_COPY = 2        # or fail

cdef enum:
    AF_XDP_MIN_RING = 64
    AF_XDP_DRAIN_ROUNDS = 200   # of AF_XDP_DRAIN_US each: closing waits 50 ms at most
    AF_XDP_DRAIN_US = 250
    AF_XDP_SKB_OVERHEAD = 1024  # octets the kernel charges to SO_SNDBUF for a frame, besides its data
    AF_XDP_MAX_SNDBUF = 0x3fffffff  # the kernel doubles it
    AF_XDP_BUSY_BUDGET = 64     # frames per busy poll

cdef struct AfXdpConfig:
    uint32_t ifindex
    uint32_t queue
    uint32_t rx_frames          # any number; rings are the next power of two
    uint32_t tx_frames
    uint32_t frame_bytes        # 2048 or 4096
    AfXdpMode mode
    uint32_t busy_poll_us       # 0: no busy polling


cdef inline void af_xdp_driver(AfXdp *socket, Driver *out) noexcept nogil:
    """Fills the contract. `socket` must stay where it is as long as `out` is used."""
    memset(out, 0, sizeof(Driver))
    out.state = socket
    out.rx_burst = af_xdp_rx_burst
    out.tx_burst = af_xdp_tx_burst
    out.alloc = af_xdp_alloc
    out.recycle = af_xdp_recycle
    out.wakeup = af_xdp_wakeup
    out.frames_accounted = af_xdp_frames_accounted
    out.frames_total = socket.umem.frames_total
    out.frame_capacity = umem_capacity(&socket.umem)
    out.fd = socket.fd
    out.stats = &socket.stats


cdef inline int32_t af_xdp_statistics(const AfXdp *socket, XskStatistics *out) noexcept nogil:
    """The kernel's own counts of this socket; fields an old kernel lacks stay 0. 0 or -errno."""
    return xsk_read_statistics(socket.fd, out)


cdef inline uint32_t _ring_entries(uint32_t frames) noexcept nogil:
    """The power of two that holds `frames` descriptors."""
    cdef uint32_t entries = AF_XDP_MIN_RING
    while entries < frames:
        entries <<= 1
    return entries


cdef inline int32_t _register(AfXdp *socket) noexcept nogil:
    return xsk_register_umem(
        socket.fd,
        socket.umem.memory,
        <uint64_t>socket.umem.frames_total << socket.umem.frame_shift,
        socket.umem.frame_bytes,
    )


cdef inline int32_t _map_ring(
    Ring *ring, int fd, const XskRingOffset *offset, uint64_t page, uint32_t entries, uint32_t entry_bytes
) noexcept nogil:
    cdef uint64_t size = offset.desc + <uint64_t>entries * entry_bytes
    cdef void *mapping = xsk_map_ring(fd, page, size)
    if mapping == NULL:
        return -errno
    ring.mapping = mapping
    ring.mapping_bytes = size
    ring.entries = entries
    ring.mask = entries - 1
    ring.producer = <uint32_t *>(<uint8_t *>mapping + offset.producer)
    ring.consumer = <uint32_t *>(<uint8_t *>mapping + offset.consumer)
    ring.flags = <uint32_t *>(<uint8_t *>mapping + offset.flags)
    ring.slots = <uint8_t *>mapping + offset.desc
    return 0


cdef inline int32_t _open_rings(AfXdp *socket, uint32_t rx_entries, uint32_t tx_entries) noexcept nogil:
    """Asks for the four rings, then maps them where the kernel says their words lie."""
    cdef XskMmapOffsets offsets
    cdef int fd = socket.fd
    cdef int32_t result = xsk_set(fd, XSK_FILL_RING, rx_entries)
    if result == 0:
        result = xsk_set(fd, XSK_COMPLETION_RING, tx_entries)
    if result == 0:
        result = xsk_set(fd, XSK_RX_RING, rx_entries)
    if result == 0:
        result = xsk_set(fd, XSK_TX_RING, tx_entries)
    if result == 0:
        result = xsk_offsets(fd, &offsets)
    if result != 0:
        return result
    result = _map_ring(&socket.rx, fd, &offsets.rx, XSK_PAGE_RX_RING, rx_entries, sizeof(XskDesc))
    if result == 0:
        result = _map_ring(&socket.tx, fd, &offsets.tx, XSK_PAGE_TX_RING, tx_entries, sizeof(XskDesc))
    if result == 0:
        result = _map_ring(&socket.fill, fd, &offsets.fill, XSK_PAGE_FILL_RING, rx_entries, sizeof(uint64_t))
    if result == 0:
        result = _map_ring(
            &socket.completion, fd, &offsets.completion, XSK_PAGE_COMPLETION_RING, tx_entries, sizeof(uint64_t)
        )
    return result


cdef inline void _raise_limits(AfXdp *socket) noexcept nogil:
    """Copy mode: lets one sendto() take a whole burst. A refusal only costs calls."""
    cdef uint64_t charged = <uint64_t>socket.tx.entries * (socket.umem.frame_bytes + AF_XDP_SKB_OVERHEAD)
    cdef int octets = <int>(charged if charged < AF_XDP_MAX_SNDBUF else AF_XDP_MAX_SNDBUF)
    socket.send_buffer_raised = (
        xsk_set_generic(socket.fd, XSK_SO_SNDBUFFORCE, octets) == 0
        or xsk_set_generic(socket.fd, XSK_SO_SNDBUF, octets) == 0
    )
    if xsk_set(socket.fd, XSK_MAX_TX_SKB_BUDGET, socket.tx.entries) == 0:
        socket.tx_budget = socket.tx.entries


cdef inline void _ask_busy_poll(AfXdp *socket, uint32_t busy_poll_us) noexcept nogil:
    """All three options or none; before bind, which is when the kernel notes the queue's NAPI."""
    if busy_poll_us == 0:
        return
    socket.busy_poll = (
        xsk_set_generic(socket.fd, XSK_SO_PREFER_BUSY_POLL, 1) == 0
        and xsk_set_generic(socket.fd, XSK_SO_BUSY_POLL, busy_poll_us) == 0
        and xsk_set_generic(socket.fd, XSK_SO_BUSY_POLL_BUDGET, AF_XDP_BUSY_BUDGET) == 0
    )
    socket.prefer_busy_poll = (
        socket.busy_poll or xsk_set_generic(socket.fd, XSK_SO_PREFER_BUSY_POLL, 0) != 0
    )


cdef inline int32_t _bind(AfXdp *socket, const AfXdpConfig *config) noexcept nogil:
    cdef uint16_t flags = XSK_BIND_NEED_WAKEUP
    if config.mode == AF_XDP_COPY:
        flags |= XSK_BIND_COPY
    elif config.mode == AF_XDP_ZERO_COPY:
        flags |= XSK_BIND_ZEROCOPY
    return xsk_bind(socket.fd, config.ifindex, config.queue, flags)


cdef inline int32_t _read_mode(AfXdp *socket) noexcept nogil:
    cdef int flags = xsk_options(socket.fd)
    if flags < 0:
        return flags
    socket.zero_copy = flags & XSK_OPTIONS_ZEROCOPY != 0
    return 0


cdef inline int32_t _open_steps(AfXdp *socket, const AfXdpConfig *config) noexcept nogil:
    """Takes each resource in turn; `failed_stage` is always the step being tried."""
    cdef int32_t result
    socket.failed_stage = AF_XDP_STAGE_MEMORY
    result = umem_open(&socket.umem, config.rx_frames, config.tx_frames, config.frame_bytes)
    if result != 0:
        return result
    socket.failed_stage = AF_XDP_STAGE_SOCKET
    socket.fd = xsk_socket()
    if socket.fd < 0:
        return socket.fd
    socket.failed_stage = AF_XDP_STAGE_UMEM
    result = _register(socket)
    if result != 0:
        return result
    socket.failed_stage = AF_XDP_STAGE_RINGS
    result = _open_rings(socket, _ring_entries(config.rx_frames), _ring_entries(config.tx_frames))
    if result != 0:
        return result
    _raise_limits(socket)
    _ask_busy_poll(socket, config.busy_poll_us)
    af_xdp_refill(socket)             # before bind: some drivers post buffers once, then, and never again
    socket.failed_stage = AF_XDP_STAGE_BIND
    result = _bind(socket, config)
    if result != 0:
        return result
    socket.failed_stage = AF_XDP_STAGE_OPTIONS
    result = _read_mode(socket)
    if result != 0:
        return result
    socket.failed_stage = AF_XDP_STAGE_NONE
    return 0


cdef inline void _unmap_ring(Ring *ring) noexcept nogil:
    if ring.mapping != NULL:
        munmap(ring.mapping, ring.mapping_bytes)


cdef inline void _release(AfXdp *socket) noexcept nogil:
    """The one way out, from any stage: leaves a closed socket that keeps only `failed_stage`."""
    cdef AfXdpStage stage = socket.failed_stage
    if socket.fd >= 0:
        close_fd(socket.fd)
    _unmap_ring(&socket.rx)
    _unmap_ring(&socket.fill)
    _unmap_ring(&socket.tx)
    _unmap_ring(&socket.completion)
    umem_close(&socket.umem)
    memset(socket, 0, sizeof(AfXdp))
    socket.fd = -1
    socket.failed_stage = stage


cdef inline int32_t af_xdp_open(AfXdp *socket, const AfXdpConfig *config) noexcept nogil:
    """Opens, fills the fill ring and binds. Returns 0, or -errno with everything released.

    `socket` may be uninitialised memory. On failure socket.failed_stage names the step.
    """
    cdef int32_t result
    memset(socket, 0, sizeof(AfXdp))
    socket.fd = -1
    result = _open_steps(socket, config)
    if result != 0:
        _release(socket)
    return result


cdef inline bint af_xdp_tx_completes(
    AfXdp *socket, const uint8_t *octets, uint32_t count, uint32_t timeout_ms
) noexcept nogil:
    """Sends one frame and waits until nothing is outstanding; False after about `timeout_ms`.

    Before the worker runs. Calls the kernel as the worker would, receiving included, because with
    preferred busy polling that is what drives the device.
    """
    cdef Frame frame
    cdef uint32_t _round
    if count > umem_capacity(&socket.umem) or af_xdp_alloc(socket, &frame, 1) == 0:
        return False
    memcpy(frame.data, octets, count)
    frame.bytes = count
    if af_xdp_tx_burst(socket, &frame, 1) == 0:
        af_xdp_recycle(socket, &frame, 1)
        return False
    for _round in range(timeout_ms * (1000 // AF_XDP_DRAIN_US)):
        af_xdp_wakeup(socket)
        xsk_kick_rx(socket.fd)
        if socket.outstanding == 0:
            return True
        usleep(AF_XDP_DRAIN_US)
    return False


cdef inline bint af_xdp_verify_busy_poll(
    AfXdp *socket, const uint8_t *octets, uint32_t count, uint32_t repeats, uint32_t timeout_ms
) noexcept nogil:
    """Sends the frame `repeats` times, one after the other: one may leave by a stray interrupt. Ends
    preferred busy polling, and returns False, when one does not complete in time."""
    cdef uint32_t _repeat
    if socket.fd < 0:
        return False
    for _repeat in range(repeats):
        if not af_xdp_tx_completes(socket, octets, count, timeout_ms):
            af_xdp_stop_preferring(socket)
            return False
    return True


cdef inline void af_xdp_close(AfXdp *socket) noexcept nogil:
    """Has queued frames sent (50 ms at most; they would die with the ring), then releases all.

    Harmless on a closed socket. Frames still held by the caller are invalid afterwards.
    """
    cdef int _round
    if socket.fd < 0:
        return
    for _round in range(AF_XDP_DRAIN_ROUNDS):
        if af_xdp_wakeup(socket) != 0 or socket.outstanding == 0:
            break
        usleep(AF_XDP_DRAIN_US)
    _release(socket)
