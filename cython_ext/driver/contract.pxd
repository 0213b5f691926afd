"""What every driver does for the worker loop. Bursts only; a burst of one is a burst.

Rules, for every implementation:

* Nothing here blocks, allocates memory or calls Python.
* Ownership: rx_burst and alloc hand frames to the caller. tx_burst takes back the first
  `accepted` frames it was given; the rest stay the caller's. recycle takes frames back unsent.
* A driver refills its receive ring inside rx_burst, before it hands out frames.
* tx_burst only queues; wakeup makes the kernel or NIC look, with at most a bounded number of
  system calls (none where none is needed), and collects finished frames.
* `alloc` draws on the TX pool alone: slow peers cannot starve receive.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from cython_ext.base.frame cimport Frame

cdef enum:
    BURST_FRAMES = 64       # most frames rx_burst hands out at once

cdef struct DriverStats:
    uint64_t rx_frames
    uint64_t tx_frames          # accepted by tx_burst
    uint64_t tx_completed       # came back from the kernel or NIC
    uint64_t tx_ring_full       # frames refused by tx_burst
    uint64_t alloc_failed       # alloc found the TX pool empty
    uint64_t rx_bad_descriptor  # descriptor that points outside our memory: dropped
    uint64_t wakeup_calls       # system calls made to have frames sent
    uint64_t wakeup_busy        # of those, answered with EAGAIN, EBUSY or ENOBUFS
    uint64_t wakeup_failed      # of those, answered with any other error
    uint64_t rx_kicks           # system calls made to have frames received

cdef struct Driver:
    void *state                 # the implementation's own
    # Up to `most` received frames into `frames`; returns how many.
    uint32_t (*rx_burst)(void *state, Frame *frames, uint32_t most) noexcept nogil
    # Queues frames for sending; returns how many were accepted, from the front.
    uint32_t (*tx_burst)(void *state, const Frame *frames, uint32_t count) noexcept nogil
    # Up to `most` frames of the TX pool into `frames` (bytes = 0); returns how many.
    uint32_t (*alloc)(void *state, Frame *frames, uint32_t most) noexcept nogil
    # Gives frames back unsent, each to the pool it came from.
    void (*recycle)(void *state, const Frame *frames, uint32_t count) noexcept nogil
    # Has queued frames sent. Returns 0, or -errno when the socket is dead (ENXIO, ENETDOWN, EBADF).
    int32_t (*wakeup)(void *state) noexcept nogil
    # Frames in the two pools plus those lent to the kernel; equals the total when none is lost.
    uint32_t (*frames_accounted)(void *state) noexcept nogil
    uint32_t frames_total
    uint32_t frame_capacity     # octets that fit from Frame.data on
    int32_t fd                  # to sleep on with poll(), or -1
    DriverStats *stats          # the implementation's own count, alive as long as `state`
