"""One site image takes the place of another between two turns, while responses of the old one go on.

Another thread fills in the Store of a free generation and offers its number; the worker takes it up when no
request is being looked at. Every queued response holds the generation that it was begun from, also for what is
sent again, so that none is made of two images. What is held is published with release order before the number
served: a generation that is neither offered nor served, and held by nobody, is never looked at again.
"""

from libc.stdint cimport uint32_t

from cython_ext.worker.state cimport Worker, atomic_load_u32, atomic_store_u32, generations_publish


cdef inline void generation_take(Worker *worker) noexcept nogil:
    """Serves what is offered, from the next request on."""
    cdef uint32_t offered = atomic_load_u32(&worker.offered)
    worker.service.generation = offered
    worker.service.store = worker.service.stores[offered]
    generations_publish(worker)
    atomic_store_u32(&worker.serving, offered)


cdef inline bint generation_is_free(const Worker *worker, uint32_t number) noexcept nogil:
    """Asked by the other thread: nothing of the worker will look at it before it is offered."""
    return (
        number != atomic_load_u32(&worker.serving) and number != worker.offered
        and atomic_load_u32(&worker.held[number]) == 0
    )
