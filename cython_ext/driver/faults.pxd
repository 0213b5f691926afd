"""A wrapper of any driver that drops, duplicates, reorders and corrupts frames, both ways.

Owns: the fates, drawn from a seeded generator, and the frames it holds back to reorder them. Does
not know the driver inside. No frame is lost: a dropped one is recycled, a duplicate is made in a
frame of the TX pool (and not made when there is none), one held back counts as accounted for.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport BURST_FRAMES, Driver
from cython_ext.driver.frame_queue cimport (
    FrameQueue,
    queue_close,
    queue_count,
    queue_open,
    queue_pop,
    queue_push,
)

cdef enum:
    FAULT_HELD_FRAMES = 64      # held back at once, each way

cdef struct FaultRates:
    # Of a million frames each; drawn one after the other, the first that strikes is the fate.
    uint32_t drop_ppm
    uint32_t duplicate_ppm
    uint32_t reorder_ppm
    uint32_t corrupt_ppm        # one bit flipped

cdef struct FaultCounts:
    uint64_t dropped
    uint64_t duplicated
    uint64_t reordered
    uint64_t corrupted

cdef enum Fate:
    FATE_PASS = 0
    FATE_DROP = 1
    FATE_DUPLICATE = 2
    FATE_REORDER = 3
    FATE_CORRUPT = 4

cdef struct FaultyDriver:
    Driver *inner
    uint64_t random         # xorshift state, never 0
    FaultRates rx_rates
    FaultRates tx_rates
    FaultCounts rx_counts
    FaultCounts tx_counts
    FrameQueue rx_held      # received from `inner`, to be handed out in a later burst
    FrameQueue tx_held      # accepted from the worker, to be submitted at a later wakeup


cdef inline uint64_t _draw(FaultyDriver *faulty) noexcept nogil:
    """xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators"."""
    cdef uint64_t x = faulty.random
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    faulty.random = x
    return x * <uint64_t>2685821657736338717


cdef inline bint _strikes(FaultyDriver *faulty, uint32_t ppm) noexcept nogil:
    return ppm != 0 and (_draw(faulty) >> 32) % 1000000 < ppm


cdef inline Fate _fate(FaultyDriver *faulty, const FaultRates *rates) noexcept nogil:
    if _strikes(faulty, rates.drop_ppm):
        return FATE_DROP
    if _strikes(faulty, rates.duplicate_ppm):
        return FATE_DUPLICATE
    if _strikes(faulty, rates.reorder_ppm):
        return FATE_REORDER
    if _strikes(faulty, rates.corrupt_ppm):
        return FATE_CORRUPT
    return FATE_PASS


cdef inline void _flip_bit(FaultyDriver *faulty, const Frame *frame) noexcept nogil:
    cdef uint64_t bit = (_draw(faulty) >> 32) % (<uint64_t>frame.bytes * 8)
    frame.data[bit >> 3] ^= <uint8_t>(1 << (bit & 7))


cdef inline bint _copy(FaultyDriver *faulty, const Frame *frame, Frame *copy) noexcept nogil:
    """A second frame with the same octets; False when the TX pool is empty."""
    if frame.bytes > faulty.inner.frame_capacity:
        return False
    if faulty.inner.alloc(faulty.inner.state, copy, 1) != 1:
        return False
    memcpy(copy.data, frame.data, frame.bytes)
    copy.bytes = frame.bytes
    return True


# ---- receiving ----

cdef inline uint32_t _receive_one(FaultyDriver *faulty, const Frame *frame, Frame *out) noexcept nogil:
    """Writes what becomes of one received frame into `out`: none or one; held ones come later."""
    cdef Frame copy
    cdef Fate fate = _fate(faulty, &faulty.rx_rates)
    if fate == FATE_DROP:
        faulty.rx_counts.dropped += 1
        faulty.inner.recycle(faulty.inner.state, frame, 1)
        return 0
    if fate == FATE_REORDER and queue_push(&faulty.rx_held, frame):
        faulty.rx_counts.reordered += 1
        return 0
    if fate == FATE_DUPLICATE and _copy(faulty, frame, &copy):
        if queue_push(&faulty.rx_held, &copy):
            faulty.rx_counts.duplicated += 1
        else:
            faulty.inner.recycle(faulty.inner.state, &copy, 1)
    elif fate == FATE_CORRUPT:
        faulty.rx_counts.corrupted += 1
        _flip_bit(faulty, frame)
    out[0] = frame[0]
    return 1


cdef inline uint32_t faulty_rx_burst(void *state, Frame *frames, uint32_t most) noexcept nogil:
    """New frames first, then those held back before this burst: so they arrive late."""
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    cdef Frame arrived[BURST_FRAMES]
    cdef uint32_t held = queue_count(&faulty.rx_held)
    cdef uint32_t count, i
    cdef uint32_t handed = 0
    if most > BURST_FRAMES:
        most = BURST_FRAMES
    count = faulty.inner.rx_burst(faulty.inner.state, arrived, most - held if held < most else 0)
    for i in range(count):
        handed += _receive_one(faulty, &arrived[i], &frames[handed])
    while held != 0 and handed < most and queue_pop(&faulty.rx_held, &frames[handed]):
        handed += 1
        held -= 1
    return handed


# ---- sending ----

cdef inline bint _send_one(FaultyDriver *faulty, const Frame *frame) noexcept nogil:
    """Decides about one submitted frame. False when the driver inside refused it."""
    cdef Frame copy
    cdef Fate fate = _fate(faulty, &faulty.tx_rates)
    if fate == FATE_DROP:
        faulty.tx_counts.dropped += 1
        faulty.inner.recycle(faulty.inner.state, frame, 1)
        return True
    if fate == FATE_REORDER and queue_push(&faulty.tx_held, frame):
        faulty.tx_counts.reordered += 1
        return True
    if fate == FATE_DUPLICATE and _copy(faulty, frame, &copy):
        if faulty.inner.tx_burst(faulty.inner.state, &copy, 1) == 1:
            faulty.tx_counts.duplicated += 1
        else:
            faulty.inner.recycle(faulty.inner.state, &copy, 1)
    elif fate == FATE_CORRUPT:
        faulty.tx_counts.corrupted += 1
        _flip_bit(faulty, frame)
    return faulty.inner.tx_burst(faulty.inner.state, frame, 1) == 1


cdef inline uint32_t faulty_tx_burst(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    cdef uint32_t accepted = 0
    while accepted < count and _send_one(faulty, &frames[accepted]):
        accepted += 1
    return accepted


cdef inline void _release_held(FaultyDriver *faulty) noexcept nogil:
    """Submits held frames, behind those of this turn; at random they stay for another turn."""
    cdef Frame frame
    cdef uint32_t count = queue_count(&faulty.tx_held)
    while count != 0 and _draw(faulty) >> 63 == 0 and queue_pop(&faulty.tx_held, &frame):
        count -= 1
        if faulty.inner.tx_burst(faulty.inner.state, &frame, 1) != 1:
            faulty.inner.recycle(faulty.inner.state, &frame, 1)     # its ring is full: one more lost frame
            faulty.tx_counts.dropped += 1


cdef inline int32_t faulty_wakeup(void *state) noexcept nogil:
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    _release_held(faulty)
    return faulty.inner.wakeup(faulty.inner.state)


cdef inline uint32_t faulty_alloc(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    return faulty.inner.alloc(faulty.inner.state, frames, most)


cdef inline void faulty_recycle(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    faulty.inner.recycle(faulty.inner.state, frames, count)


cdef inline uint32_t faulty_frames_accounted(void *state) noexcept nogil:
    cdef FaultyDriver *faulty = <FaultyDriver *>state
    return (
        faulty.inner.frames_accounted(faulty.inner.state)
        + queue_count(&faulty.rx_held)
        + queue_count(&faulty.tx_held)
    )


# ---- opening and closing ----

cdef inline bint faulty_open(
    FaultyDriver *faulty, Driver *inner, const FaultRates *rx, const FaultRates *tx, uint64_t seed
) noexcept nogil:
    """Wraps `inner`, which must outlive it. False when there is no memory."""
    memset(faulty, 0, sizeof(FaultyDriver))
    faulty.inner = inner
    faulty.random = seed if seed != 0 else 1
    faulty.rx_rates = rx[0]
    faulty.tx_rates = tx[0]
    if queue_open(&faulty.rx_held, FAULT_HELD_FRAMES) and queue_open(&faulty.tx_held, FAULT_HELD_FRAMES):
        return True
    faulty_free(faulty)
    return False


cdef inline void faulty_free(FaultyDriver *faulty) noexcept nogil:
    queue_close(&faulty.rx_held)
    queue_close(&faulty.tx_held)


cdef inline void faulty_close(FaultyDriver *faulty) noexcept nogil:
    """Recycles what is held back and lets go of the driver inside, which stays open."""
    cdef Frame frame
    while queue_pop(&faulty.rx_held, &frame):
        faulty.inner.recycle(faulty.inner.state, &frame, 1)
    while queue_pop(&faulty.tx_held, &frame):
        faulty.inner.recycle(faulty.inner.state, &frame, 1)
    faulty_free(faulty)


cdef inline void faulty_driver(FaultyDriver *faulty, Driver *out) noexcept nogil:
    """Fills the contract. `faulty` must stay where it is as long as `out` is used."""
    out[0] = faulty.inner[0]
    out.state = faulty
    out.rx_burst = faulty_rx_burst
    out.tx_burst = faulty_tx_burst
    out.alloc = faulty_alloc
    out.recycle = faulty_recycle
    out.wakeup = faulty_wakeup
    out.frames_accounted = faulty_frames_accounted
