"""A wrapper of any driver that takes and gives fewer frames than it could."""

from libc.stdint cimport int32_t, uint32_t

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport Driver
from cython_ext.fuzz.chance cimport Choices, chance_below, chance_one_in

cdef struct StingyDriver:
    Driver *inner
    Choices chance


cdef inline uint32_t _less(StingyDriver *stingy, uint32_t most) noexcept nogil:
    if most == 0 or not chance_one_in(&stingy.chance, 4):
        return most
    return chance_below(&stingy.chance, most + 1)


cdef inline uint32_t stingy_rx_burst(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    return stingy.inner.rx_burst(stingy.inner.state, frames, _less(stingy, most))


cdef inline uint32_t stingy_tx_burst(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    return stingy.inner.tx_burst(stingy.inner.state, frames, _less(stingy, count))


cdef inline uint32_t stingy_alloc(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    return stingy.inner.alloc(stingy.inner.state, frames, _less(stingy, most))


cdef inline void stingy_recycle(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    stingy.inner.recycle(stingy.inner.state, frames, count)


cdef inline int32_t stingy_wakeup(void *state) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    return stingy.inner.wakeup(stingy.inner.state)


cdef inline uint32_t stingy_frames_accounted(void *state) noexcept nogil:
    cdef StingyDriver *stingy = <StingyDriver *>state
    return stingy.inner.frames_accounted(stingy.inner.state)


cdef inline void stingy_driver(StingyDriver *stingy, Driver *inner, const Choices *chance, Driver *out) noexcept nogil:
    """Fills the contract. `stingy` and `inner` must stay where they are as long as `out` is used."""
    stingy.inner = inner
    stingy.chance = chance[0]
    out[0] = inner[0]
    out.state = stingy
    out.rx_burst = stingy_rx_burst
    out.tx_burst = stingy_tx_burst
    out.alloc = stingy_alloc
    out.recycle = stingy_recycle
    out.wakeup = stingy_wakeup
    out.frames_accounted = stingy_frames_accounted
