"""The timer wheel: one entry per connection, 8192 slots of one tick (2^20 ns).

An entry is listed at or before its connection's next deadline. When it falls due the worker
looks at the true deadlines and lists it again; so a deadline that only moves later (the
usual case) costs nothing. A tick's cost does not grow with the number of connections.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cython_ext.base.pool cimport NIL
from cython_ext.tcp.conn cimport CONN_TIMER_LISTED, TcpConn

cdef enum:
    WHEEL_SLOTS = 8192
    WHEEL_MASK = 8191

cdef struct Wheel:
    uint32_t *slots             # first connection of each slot, or NIL
    TcpConn *conns              # the table's records
    uint32_t now                # every earlier tick has been worked off
    uint32_t listed


cdef inline int wheel_init(Wheel *wheel, TcpConn *conns, uint32_t now) noexcept nogil:
    wheel.slots = <uint32_t *>malloc(WHEEL_SLOTS * sizeof(uint32_t))
    wheel.conns = conns
    wheel.now = now
    wheel.listed = 0
    if wheel.slots == NULL:
        return -1
    memset(wheel.slots, 0xff, WHEEL_SLOTS * sizeof(uint32_t))
    return 0


cdef inline void wheel_release(Wheel *wheel) noexcept nogil:
    free(wheel.slots)
    wheel.slots = NULL


cdef inline void wheel_unlist(Wheel *wheel, uint32_t number) noexcept nogil:
    """Takes the connection out of the wheel, if it is in."""
    cdef TcpConn *conn = &wheel.conns[number]
    if not conn.flags & CONN_TIMER_LISTED:
        return
    if conn.timer_prev == NIL:
        wheel.slots[conn.timer_at & WHEEL_MASK] = conn.timer_next
    else:
        wheel.conns[conn.timer_prev].timer_next = conn.timer_next
    if conn.timer_next != NIL:
        wheel.conns[conn.timer_next].timer_prev = conn.timer_prev
    conn.flags &= ~<uint32_t>CONN_TIMER_LISTED
    wheel.listed -= 1


cdef inline void wheel_list(Wheel *wheel, uint32_t number, uint32_t at) noexcept nogil:
    """Lists the connection no later than tick `at`; leaves an earlier entry as it is.

    A deadline beyond the wheel's horizon is listed at the horizon and looked at again there.
    """
    cdef TcpConn *conn = &wheel.conns[number]
    cdef uint32_t *slot
    if <int32_t>(at - wheel.now) <= 0:
        at = wheel.now + 1
    if at - wheel.now >= WHEEL_SLOTS:
        at = wheel.now + WHEEL_SLOTS - 1
    if conn.flags & CONN_TIMER_LISTED:
        if <int32_t>(conn.timer_at - at) <= 0:
            return
        wheel_unlist(wheel, number)
    conn.timer_at = at
    slot = &wheel.slots[at & WHEEL_MASK]
    conn.timer_prev = NIL
    conn.timer_next = slot[0]
    if slot[0] != NIL:
        wheel.conns[slot[0]].timer_prev = number
    slot[0] = number
    conn.flags |= CONN_TIMER_LISTED
    wheel.listed += 1


cdef inline uint32_t wheel_next(Wheel *wheel, uint32_t now) noexcept nogil:
    """Unlists and returns one connection that is due at `now`, or NIL when none is left.

    Call until NIL; a caller that stops early goes on at the same place next time.
    """
    cdef uint32_t number
    while <int32_t>(now - wheel.now) >= 0:
        number = wheel.slots[wheel.now & WHEEL_MASK]
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
        if wheel.slots[(wheel.now + ticks) & WHEEL_MASK] != NIL:
            return ticks
    return most
