"""The timer wheel: one entry per connection, 8192 slots of one tick (2^20 ns), and 1024 of 1024 ticks.

An entry is listed at or before its connection's next deadline. When it falls due the worker
looks at the true deadlines and lists it again; so a deadline that only moves later (the
usual case) costs nothing. What is beyond the near slots is listed in a far one, whose entries fall due
at its first tick. A tick touches what it finds in its slots and nothing else, however many connections
there are: one that idles for a minute is looked at twice.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cython_ext.base.pool cimport NIL
from cython_ext.tcp.conn cimport CONN_TIMER_FAR, CONN_TIMER_LISTED, TcpConn

cdef enum:
    WHEEL_SLOTS = 8192
    WHEEL_MASK = 8191
    FAR_SLOTS = 1024            # behind the near ones
    FAR_MASK = 1023             # of a far slot's number, and of the ticks within it
    FAR_SHIFT = 10
    FAR_TICKS_MOST = 1023 << 10

cdef struct Wheel:
    uint32_t *slots             # first connection of each slot, near and far, or NIL
    TcpConn *conns              # the table's records
    uint32_t now                # every earlier tick has been worked off
    uint32_t listed


cdef inline int wheel_init(Wheel *wheel, TcpConn *conns, uint32_t now) noexcept nogil:
    wheel.slots = <uint32_t *>malloc((WHEEL_SLOTS + FAR_SLOTS) * sizeof(uint32_t))
    wheel.conns = conns
    wheel.now = now
    wheel.listed = 0
    if wheel.slots == NULL:
        return -1
    memset(wheel.slots, 0xff, (WHEEL_SLOTS + FAR_SLOTS) * sizeof(uint32_t))
    return 0


cdef inline void wheel_release(Wheel *wheel) noexcept nogil:
    free(wheel.slots)
    wheel.slots = NULL


cdef inline uint32_t wheel_slot(uint32_t at, bint far) noexcept nogil:
    return WHEEL_SLOTS + (at >> FAR_SHIFT & FAR_MASK) if far else at & WHEEL_MASK


cdef inline void wheel_unlist(Wheel *wheel, uint32_t number) noexcept nogil:
    """Takes the connection out of the wheel, if it is in."""
    cdef TcpConn *conn = &wheel.conns[number]
    if not conn.flags & CONN_TIMER_LISTED:
        return
    if conn.timer_prev == NIL:
        wheel.slots[wheel_slot(conn.timer_at, conn.flags & CONN_TIMER_FAR != 0)] = conn.timer_next
    else:
        wheel.conns[conn.timer_prev].timer_next = conn.timer_next
    if conn.timer_next != NIL:
        wheel.conns[conn.timer_next].timer_prev = conn.timer_prev
    conn.flags &= ~<uint32_t>(CONN_TIMER_LISTED | CONN_TIMER_FAR)
    wheel.listed -= 1


cdef inline void wheel_list(Wheel *wheel, uint32_t number, uint32_t at) noexcept nogil:
    """Lists the connection no later than tick `at`; leaves an earlier entry as it is.

    A deadline beyond the far slots is listed in the last of them and looked at again there.
    """
    cdef TcpConn *conn = &wheel.conns[number]
    cdef uint32_t *slot
    cdef bint far
    if <int32_t>(at - wheel.now) <= 0:
        at = wheel.now + 1
    far = at - wheel.now >= WHEEL_SLOTS
    if far:
        at = min(at - wheel.now, <uint32_t>FAR_TICKS_MOST) + wheel.now & ~<uint32_t>FAR_MASK
    if conn.flags & CONN_TIMER_LISTED:
        if <int32_t>(conn.timer_at - at) <= 0:
            return
        wheel_unlist(wheel, number)
    conn.timer_at = at
    slot = &wheel.slots[wheel_slot(at, far)]
    conn.timer_prev = NIL
    conn.timer_next = slot[0]
    if slot[0] != NIL:
        wheel.conns[slot[0]].timer_prev = number
    slot[0] = number
    conn.flags |= CONN_TIMER_LISTED | CONN_TIMER_FAR if far else CONN_TIMER_LISTED
    wheel.listed += 1


cdef inline uint32_t wheel_first(const Wheel *wheel, uint32_t tick) noexcept nogil:
    """The first connection that falls due at `tick`, or NIL."""
    cdef uint32_t number = wheel.slots[tick & WHEEL_MASK]
    if number == NIL and tick & FAR_MASK == 0:
        return wheel.slots[wheel_slot(tick, True)]
    return number


cdef inline uint32_t wheel_next(Wheel *wheel, uint32_t now) noexcept nogil:
    """Unlists and returns one connection that is due at `now`, or NIL when none is left.

    Call until NIL; a caller that stops early goes on at the same place next time.
    """
    cdef uint32_t number
    while <int32_t>(now - wheel.now) >= 0:
        number = wheel_first(wheel, wheel.now)
        if number != NIL:
            wheel_unlist(wheel, number)
            return number
        if wheel.now == now:
            return NIL
        if wheel.listed == 0:
            wheel.now = now
            return NIL
        wheel.now += 1
    return NIL


cdef inline uint32_t wheel_idle_ticks(const Wheel *wheel, uint32_t most) noexcept nogil:
    """Ticks until the next occupied slot, at most `most`: how long a sleeper may sleep."""
    cdef uint32_t ticks
    for ticks in range(most):
        if wheel_first(wheel, wheel.now + ticks) != NIL:
            return ticks
    return most
