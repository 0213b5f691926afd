"""The outermost driver: shows the judge what the engine submits before faults and stinginess come to it.

So the judge knows each SYN-ACK, also one that is then lost, and the order in which the engine spoke.
"""

from libc.stdint cimport int32_t, uint32_t

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport Driver
from cython_ext.fuzz.judge cimport Judge, judge_submitted

cdef struct TapDriver:
    Driver *inner
    Judge *judge


cdef inline uint32_t tap_rx_burst(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef TapDriver *tap = <TapDriver *>state
    return tap.inner.rx_burst(tap.inner.state, frames, most)


cdef inline uint32_t tap_tx_burst(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    """Judged before they are given away: a frame that is refused was spoken, too, and lost."""
    cdef TapDriver *tap = <TapDriver *>state
    cdef uint32_t i
    for i in range(count):
        judge_submitted(tap.judge, frames[i].data, frames[i].bytes)
    return tap.inner.tx_burst(tap.inner.state, frames, count)


cdef inline uint32_t tap_alloc(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef TapDriver *tap = <TapDriver *>state
    return tap.inner.alloc(tap.inner.state, frames, most)


cdef inline void tap_recycle(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef TapDriver *tap = <TapDriver *>state
    tap.inner.recycle(tap.inner.state, frames, count)


cdef inline int32_t tap_wakeup(void *state) noexcept nogil:
    cdef TapDriver *tap = <TapDriver *>state
    return tap.inner.wakeup(tap.inner.state)


cdef inline uint32_t tap_frames_accounted(void *state) noexcept nogil:
    cdef TapDriver *tap = <TapDriver *>state
    return tap.inner.frames_accounted(tap.inner.state)


cdef inline void tap_driver(TapDriver *tap, Driver *inner, Judge *judge, Driver *out) noexcept nogil:
    """Fills the contract. `tap`, `inner` and `judge` must stay where they are as long as `out` is used."""
    tap.inner = inner
    tap.judge = judge
    out[0] = inner[0]
    out.state = tap
    out.rx_burst = tap_rx_burst
    out.tx_burst = tap_tx_burst
    out.alloc = tap_alloc
    out.recycle = tap_recycle
    out.wakeup = tap_wakeup
    out.frames_accounted = tap_frames_accounted
