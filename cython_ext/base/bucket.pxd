"""A token bucket, kept as the time at which its next event is due (virtual scheduling, ITU-T I.371)."""

from libc.stdint cimport uint64_t

cdef struct Bucket:
    uint64_t interval_ns        # between two events
    uint64_t tolerance_ns       # how far ahead of that they may be
    uint64_t due_ns


cdef inline void bucket_init(Bucket *bucket, uint64_t rate_per_s, uint64_t burst) noexcept nogil:
    """`burst` events at once, `rate_per_s` in the long run; both at least 1."""
    bucket.interval_ns = 1000000000 // rate_per_s
    bucket.tolerance_ns = bucket.interval_ns * (burst - 1)
    bucket.due_ns = 0


cdef inline bint bucket_take(Bucket *bucket, uint64_t now_ns) noexcept nogil:
    """Whether an event may happen now; books it if so."""
    if bucket.due_ns < now_ns:
        bucket.due_ns = now_ns
    elif bucket.due_ns - now_ns > bucket.tolerance_ns:
        return False
    bucket.due_ns += bucket.interval_ns
    return True
