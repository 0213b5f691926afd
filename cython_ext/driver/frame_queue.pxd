"""A bounded first-in first-out queue of frames, for one thread: a power of two, indexed by mask."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cython_ext.base.frame cimport Frame

cdef struct FrameQueue:
    Frame *slots
    uint32_t mask           # entries - 1
    uint32_t head           # runs freely: next to pop
    uint32_t tail           # runs freely: next to push


cdef inline bint queue_open(FrameQueue *queue, uint32_t frames) noexcept nogil:
    """Room for at least `frames`. False when there is no memory."""
    cdef uint32_t entries = 1
    memset(queue, 0, sizeof(FrameQueue))
    while entries < frames:
        entries <<= 1
    queue.slots = <Frame *>calloc(entries, sizeof(Frame))
    queue.mask = entries - 1
    return queue.slots != NULL


cdef inline void queue_close(FrameQueue *queue) noexcept nogil:
    free(queue.slots)
    memset(queue, 0, sizeof(FrameQueue))


cdef inline uint32_t queue_count(const FrameQueue *queue) noexcept nogil:
    return queue.tail - queue.head


cdef inline bint queue_push(FrameQueue *queue, const Frame *frame) noexcept nogil:
    """False when full."""
    if queue.tail - queue.head > queue.mask:
        return False
    queue.slots[queue.tail & queue.mask] = frame[0]
    queue.tail += 1
    return True


cdef inline bint queue_pop(FrameQueue *queue, Frame *frame) noexcept nogil:
    """False when empty."""
    if queue.tail == queue.head:
        return False
    frame[0] = queue.slots[queue.head & queue.mask]
    queue.head += 1
    return True
