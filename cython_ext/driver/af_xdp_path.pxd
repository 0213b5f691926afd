"""The data path of an open AF_XDP socket: bursts over its four rings, and wakeups.

Owns: the socket's state and the functions behind the driver contract. Does not know how a socket is
opened or closed (driver/af_xdp), the XDP program that steers frames here, nor what is in a frame.

Two cost models (net/xdp/xsk.c): in copy mode sendto() does the sending itself, a bounded number of
descriptors per call, and receiving needs no call; in zero-copy mode a call is made only where the
kernel's ring flag asks for it.
"""

from libc.errno cimport EAGAIN, EBADF, EBUSY, ENETDOWN, ENOBUFS, ENXIO
from libc.stdint cimport int32_t, uint32_t, uint64_t

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport BURST_FRAMES, DriverStats
from cython_ext.driver.ring cimport (
    Ring,
    ring_address,
    ring_consume,
    ring_descriptor,
    ring_filled,
    ring_needs_wakeup,
    ring_produce,
    ring_room,
    ring_unread,
)
from cython_ext.driver.umem cimport (
    OWNER_APP,
    OWNER_FILL,
    OWNER_TX,
    Umem,
    ownership_bounds,
    umem_alloc,
    umem_holds,
    umem_move,
    umem_put,
    umem_take_rx,
)
from cython_ext.driver.xdp_abi cimport XSK_SO_PREFER_BUSY_POLL, XskDesc
from cython_ext.driver.xdp_abi cimport xsk_kick_rx, xsk_kick_tx, xsk_set_generic

cdef extern from "abi/bytes.h" nogil:
    void prefetch(const void *p)

cdef enum AfXdpStage:
    AF_XDP_STAGE_NONE = 0
    AF_XDP_STAGE_MEMORY = 1     # mapping the packet memory
    AF_XDP_STAGE_SOCKET = 2     # socket(AF_XDP): privilege, kernel support
    AF_XDP_STAGE_UMEM = 3       # registering the memory: pages are pinned against RLIMIT_MEMLOCK
    AF_XDP_STAGE_RINGS = 4      # creating and mapping the rings
    AF_XDP_STAGE_BIND = 5       # taking the queue: interface, queue, mode
    AF_XDP_STAGE_OPTIONS = 6    # reading back what the kernel did

cdef enum:
    AF_XDP_WAKEUP_CALLS = 128   # most sendto() calls in one wakeup: 2048 descriptors, 32 a call, twice
    AF_XDP_STALL_ROUNDS = 4096  # wakeups without one completion before preferred busy polling is given up

cdef struct AfXdp:
    Ring rx
    Ring fill
    Ring tx
    Ring completion
    Umem umem
    int32_t fd                  # -1 when closed
    uint32_t lent               # RX frames in the fill ring, the kernel or the RX ring
    uint32_t outstanding        # frames in the TX ring, the kernel or the completion ring
    uint32_t stalled            # wakeups in a row with frames outstanding and none completed
    bint zero_copy              # as the kernel said after bind
    bint busy_poll              # SO_BUSY_POLL was accepted
    bint prefer_busy_poll       # SO_PREFER_BUSY_POLL was accepted, and TX completes under it
    bint send_buffer_raised
    uint32_t tx_budget          # descriptors per sendto() we were granted in copy mode; 0: the default, 32
    AfXdpStage failed_stage
    DriverStats stats


cdef inline void af_xdp_refill(AfXdp *socket) noexcept nogil:
    """Lends the whole RX pool to the kernel, as far as the fill ring has room."""
    cdef uint32_t count = ring_room(&socket.fill, socket.umem.rx_free)
    cdef uint32_t i
    cdef uint64_t index
    if count == 0:
        return
    for i in range(count):
        index = umem_take_rx(&socket.umem, OWNER_FILL)
        ring_address(&socket.fill, i)[0] = index << socket.umem.frame_shift
    ring_produce(&socket.fill, count)
    socket.lent += count


cdef inline bint _kick_rx(AfXdp *socket) noexcept nogil:
    """The RX ring is empty: lets the kernel post buffers or busy-poll, where either is wanted.

    True when it is worth looking again. A dead socket shows in wakeup, not here.
    """
    if not socket.busy_poll and not ring_needs_wakeup(&socket.fill):
        return False
    socket.stats.rx_kicks += 1
    return xsk_kick_rx(socket.fd) >= 0


cdef inline uint32_t af_xdp_rx_burst(void *state, Frame *frames, uint32_t most) noexcept nogil:
    """Driver.rx_burst: refills the fill ring, then takes received frames."""
    cdef AfXdp *socket = <AfXdp *>state
    cdef XskDesc *descriptor
    cdef uint32_t count, i, index
    cdef uint32_t taken = 0
    af_xdp_refill(socket)
    if most > BURST_FRAMES:
        most = BURST_FRAMES
    count = ring_filled(&socket.rx, most)
    if count == 0 and _kick_rx(socket):
        count = ring_filled(&socket.rx, most)
    if count == 0:
        return 0
    for i in range(count):
        descriptor = ring_descriptor(&socket.rx, i)
        index = <uint32_t>(descriptor.addr >> socket.umem.frame_shift)
        if not umem_holds(&socket.umem, descriptor.addr, descriptor.len) or index >= socket.umem.rx_frames:
            socket.stats.rx_bad_descriptor += 1
            if descriptor.addr >> socket.umem.frame_shift < socket.umem.rx_frames:
                umem_put(&socket.umem, index, OWNER_FILL)
            continue
        umem_move(&socket.umem, index, OWNER_FILL, OWNER_APP)
        frames[taken].data = socket.umem.memory + descriptor.addr
        frames[taken].bytes = descriptor.len
        frames[taken].index = index
        prefetch(frames[taken].data)
        taken += 1
    ring_consume(&socket.rx, count)
    socket.lent -= count
    socket.stats.rx_frames += taken
    return taken


cdef inline void _reap(AfXdp *socket) noexcept nogil:
    """Takes finished frames back, by address: in copy mode they complete in any order."""
    cdef uint32_t count = ring_filled(&socket.completion, socket.completion.entries)
    cdef uint64_t address
    cdef uint32_t i
    if count == 0:
        return
    for i in range(count):
        address = ring_address(&socket.completion, i)[0]
        if umem_holds(&socket.umem, address, 0):
            umem_put(&socket.umem, <uint32_t>(address >> socket.umem.frame_shift), OWNER_TX)
        else:
            socket.stats.rx_bad_descriptor += 1
    ring_consume(&socket.completion, count)
    socket.outstanding -= count
    socket.stats.tx_completed += count
    socket.stalled = 0


cdef inline uint32_t _tx_room(AfXdp *socket, uint32_t wanted) noexcept nogil:
    """TX slots free now: never more frames under way than the completion ring has entries."""
    cdef uint32_t room
    if socket.outstanding + wanted > socket.completion.entries:
        _reap(socket)
    room = socket.completion.entries - socket.outstanding
    return ring_room(&socket.tx, wanted if wanted < room else room)


cdef inline uint32_t af_xdp_tx_burst(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    """Driver.tx_burst: writes descriptors; nothing leaves before wakeup."""
    cdef AfXdp *socket = <AfXdp *>state
    cdef XskDesc *descriptor
    cdef uint32_t room = _tx_room(socket, count)
    cdef uint32_t i
    cdef uint64_t address
    for i in range(room):
        address = <uint64_t>(frames[i].data - socket.umem.memory)
        ownership_bounds(
            frames[i].index,
            address >> socket.umem.frame_shift == frames[i].index
            and frames[i].bytes != 0
            and umem_holds(&socket.umem, address, frames[i].bytes),
        )
        umem_move(&socket.umem, frames[i].index, OWNER_APP, OWNER_TX)
        descriptor = ring_descriptor(&socket.tx, i)
        descriptor.addr = address
        descriptor.len = frames[i].bytes
        descriptor.options = 0
    if room:
        ring_produce(&socket.tx, room)
        socket.outstanding += room
        socket.stats.tx_frames += room
    socket.stats.tx_ring_full += count - room
    return room


cdef inline uint32_t af_xdp_alloc(void *state, Frame *frames, uint32_t most) noexcept nogil:
    """Driver.alloc: from the TX pool, after collecting what the kernel has finished."""
    cdef AfXdp *socket = <AfXdp *>state
    cdef uint32_t count
    if socket.umem.tx_free < most:
        _reap(socket)
    count = umem_alloc(&socket.umem, frames, most)
    if count == 0 and most != 0:
        socket.stats.alloc_failed += 1
    return count


cdef inline void af_xdp_recycle(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    """Driver.recycle."""
    cdef AfXdp *socket = <AfXdp *>state
    cdef uint32_t i
    for i in range(count):
        umem_put(&socket.umem, frames[i].index, OWNER_APP)


cdef inline void af_xdp_stop_preferring(AfXdp *socket) noexcept nogil:
    """Ends preferred busy polling; plain busy polling goes on."""
    if xsk_set_generic(socket.fd, XSK_SO_PREFER_BUSY_POLL, 0) == 0:
        socket.prefer_busy_poll = False


cdef inline void _watch_stall(AfXdp *socket) noexcept nogil:
    """Preferred busy polling serves only the RX context; where TX has its own, nothing leaves."""
    if socket.prefer_busy_poll and socket.outstanding != 0:
        socket.stalled += 1
        if socket.stalled >= AF_XDP_STALL_ROUNDS:
            af_xdp_stop_preferring(socket)


cdef inline bint _is_fatal(const AfXdp *socket, int error) noexcept nogil:
    """In zero-copy mode the driver itself answers ENETDOWN and ENXIO while it resets; the frames stay
    queued for the next wakeup. That the interface is gone shows as POLLERR, that it is down is asked."""
    if error == EBADF:
        return True
    return not socket.zero_copy and (error == ENXIO or error == ENETDOWN)


cdef inline int32_t _kick_tx(AfXdp *socket) noexcept nogil:
    """sendto() until the kernel has taken every descriptor, makes no progress, or needs no call."""
    cdef uint32_t pending = ring_unread(&socket.tx)
    cdef uint32_t before
    cdef int error, _call
    if pending == 0 and not (socket.zero_copy and socket.outstanding != 0):
        return 0
    for _call in range(AF_XDP_WAKEUP_CALLS):
        if not ring_needs_wakeup(&socket.tx):
            return 0
        socket.stats.wakeup_calls += 1
        error = -xsk_kick_tx(socket.fd)
        if error <= 0:
            return 0
        if error != EAGAIN and error != EBUSY and error != ENOBUFS:
            socket.stats.wakeup_failed += 1
            return -error if _is_fatal(socket, error) else 0
        socket.stats.wakeup_busy += 1
        before = pending
        pending = ring_unread(&socket.tx)
        # EBUSY: the device dropped one frame, which completes all the same; the rest can go on.
        if pending == 0 or (pending == before and error != EBUSY):
            return 0
    return 0


cdef inline int32_t af_xdp_wakeup(void *state) noexcept nogil:
    """Driver.wakeup: has queued frames sent and collects finished ones."""
    cdef AfXdp *socket = <AfXdp *>state
    cdef int32_t result = _kick_tx(socket)
    _reap(socket)
    _watch_stall(socket)
    return result


cdef inline uint32_t af_xdp_frames_accounted(void *state) noexcept nogil:
    """Driver.frames_accounted."""
    cdef AfXdp *socket = <AfXdp *>state
    return socket.umem.rx_free + socket.umem.tx_free + socket.lent + socket.outstanding
