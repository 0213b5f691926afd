"""What is in flight on a connection that has more than one segment there: scoreboard and send times.

The octets [snd_una, snd_max) as a short sorted list of runs; a run is what shares one state and one
time of sending. One structure serves SACK (RFC 2018, RFC 6675) and RACK-TLP (RFC 8985). Blocks come
from a bounded pool: a connection takes one when its second segment leaves and gives it back when all
is acknowledged. Without a block the sender falls back to duplicate ACKs and going back.

When the list is full, a change that would split a run is not made: octets stay unsacked and may be
sent once more than needed. Nothing is ever taken as received that is not.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memmove

from cython_ext.wire.seqnum cimport seq_le, seq_lt, seq_max, seq_min

cdef enum:
    FLIGHT_RUNS = 243               # a block of 4 KB
    RUN_SPAN_SHIFT = 6              # what leaves within 1/64 of a round trip is one run

cdef enum MtuProbe:
    MTU_PROBE_NONE = 0
    MTU_PROBE_DUE = 1           # the next new octets leave as one
    MTU_PROBE_OUT = 2           # one is in flight, up to mtu_probe_end

cdef enum RunState:
    RUN_SACKED = 1              # the peer has it
    RUN_LOST = 2                # to be sent again
    RUN_AGAIN = 4               # was sent again at sent_us

cdef struct FlightRun:
    uint32_t start
    uint32_t end                # first sequence number behind it
    uint32_t sent_us            # low 32 bits of the time of its last sending
    uint32_t state              # RunState

cdef struct Flight:
    uint32_t count
    uint32_t pipe               # octets neither SACKed nor lost: RFC 6675 4
    uint32_t lost               # octets in runs marked lost
    uint32_t sacked             # octets in runs marked SACKed
    uint32_t delivered          # octets newly acknowledged or SACKed by the segment being taken
    # RACK (RFC 8985 5.2)
    uint32_t rack_sent_us       # when the most recently sent delivered octets were sent
    uint32_t rack_end           # the highest of them
    uint32_t rack_rtt_us
    uint32_t rack_fack          # highest sequence number known to be delivered
    uint32_t least_rtt_us
    uint32_t window_factor      # reo_wnd_mult
    uint32_t window_persist     # recoveries until the factor falls back
    uint32_t dsack_round        # snd_max when the factor last grew
    bint rack_valid             # rack_* hold a sample
    bint reordering             # seen on this flight
    bint dsack_seen             # in the segment being taken
    # Tail loss probe (RFC 8985 7)
    uint32_t probe_end
    bint probe_out
    bint probe_again            # the probe repeated old octets
    # Proportional rate reduction (RFC 9937)
    uint32_t recovery_flight    # RecoverFS
    uint32_t recovery_delivered
    uint32_t recovery_sent
    # Undo of a spurious timeout (RFC 3522, RFC 4015)
    uint32_t undo_cwnd
    uint32_t undo_ssthresh
    uint32_t undo_timestamp     # our timestamp when the first octets were sent again
    bint undo_possible
    bint undo_armed             # DSACKs may show that this recovery, or timeout, was in vain
    uint32_t undo_octets        # sent again in it, and not reported by DSACK
    uint32_t undo_start         # with undo_octets: the span of what was sent again
    uint32_t undo_end
    uint32_t dsack_start        # reported by the segment being taken
    uint32_t dsack_end
    # Path MTU (tcp/pathmtu)
    uint32_t mtu_probe          # MtuProbe
    uint32_t mtu_probe_end
    # Pacing (tcp/pacing)
    int32_t pace_budget         # octets that may leave now
    uint32_t paced_us           # when it was last filled
    # HyStart++ (RFC 9406)
    uint32_t round_end
    uint32_t round_rtt_us       # least of this round
    uint32_t last_round_rtt_us
    uint32_t round_samples
    uint32_t css_baseline_us
    uint32_t css_rounds         # 0: not in conservative slow start
    FlightRun runs[FLIGHT_RUNS]


cdef inline void flight_start(
    Flight *flight, uint32_t start, uint32_t end, uint32_t sent_us, uint32_t state
) noexcept nogil:
    """[start, end) is in flight already, since `sent_us`. state: 0, or RUN_AGAIN where that is not known."""
    cdef uint32_t runs_at = <uint32_t>(<char *>&flight.runs - <char *>flight)
    clear_block(flight, runs_at)
    flight.window_factor = 1
    flight.count = 1
    flight.runs[0].start = start
    flight.runs[0].end = end
    flight.runs[0].sent_us = sent_us
    flight.runs[0].state = state
    flight.pipe = end - start
    flight.rack_fack = start
    flight.dsack_round = start
    flight.round_end = end
    flight.round_rtt_us = RTT_NONE
    flight.last_round_rtt_us = RTT_NONE


cdef extern from *:
    """
    #include <string.h>
    #define RTT_NONE 0xffffffffu
    static inline void clear_block(void *block, unsigned bytes) { memset(block, 0, bytes); }
    """
    const uint32_t RTT_NONE
    void clear_block(void *block, uint32_t octets) noexcept nogil


cdef inline void flight_count(Flight *flight) noexcept nogil:
    """Adds up the runs."""
    cdef uint32_t i, octets
    flight.pipe = 0
    flight.lost = 0
    flight.sacked = 0
    for i in range(flight.count):
        octets = flight.runs[i].end - flight.runs[i].start
        if flight.runs[i].state & RUN_SACKED:
            flight.sacked += octets
        elif flight.runs[i].state & RUN_LOST:
            flight.lost += octets
        else:
            flight.pipe += octets


cdef inline void flight_sent(Flight *flight, uint32_t start, uint32_t end, uint32_t now_us) noexcept nogil:
    """New octets left: they extend the last run, or begin one. A run's time is that of its first octets, at
    most 1/64 of a round trip before its last: so a window of any size has a bounded number of runs."""
    cdef FlightRun *last = &flight.runs[flight.count - 1 if flight.count else 0]
    flight.pipe += end - start
    if flight.count and last.state == 0 and now_us - last.sent_us <= flight.least_rtt_us >> RUN_SPAN_SHIFT:
        last.end = end
        return
    if flight.count == FLIGHT_RUNS and not make_room(flight):
        last.end = end
        if last.state == 0:
            last.sent_us = now_us
            return
        last.state = RUN_LOST           # its state is SACKed or lost: lost is the safe one
        flight_count(flight)
        return
    last = &flight.runs[flight.count]
    last.start = start
    last.end = end
    last.sent_us = now_us
    last.state = 0
    flight.count += 1


cdef inline bint make_room(Flight *flight) noexcept nogil:
    """Joins neighbours of one state, the earlier time giving way to the later; False when none are."""
    cdef uint32_t i
    for i in range(flight.count - 1):
        if flight.runs[i].state == flight.runs[i + 1].state:
            flight.runs[i].end = flight.runs[i + 1].end
            flight.runs[i].sent_us = flight.runs[i + 1].sent_us
            remove_run(flight, i + 1)
            return True
    return False


cdef inline void remove_run(Flight *flight, uint32_t i) noexcept nogil:
    flight.count -= 1
    memmove(&flight.runs[i], &flight.runs[i + 1], (flight.count - i) * sizeof(FlightRun))


cdef inline bint split_run(Flight *flight, uint32_t i, uint32_t at) noexcept nogil:
    """Cuts run i at `at`, inside it; False when the list is full."""
    if flight.count == FLIGHT_RUNS:
        return False
    memmove(&flight.runs[i + 1], &flight.runs[i], (flight.count - i) * sizeof(FlightRun))
    flight.count += 1
    flight.runs[i].end = at
    flight.runs[i + 1].start = at
    return True


cdef inline void join_runs(Flight *flight, uint32_t state) noexcept nogil:
    """Neighbours of this state become one run: their times of sending matter no more. One pass, for a peer can
    make the list as long as it may be."""
    cdef uint32_t i
    cdef uint32_t kept = 0
    for i in range(1, flight.count):
        if flight.runs[kept].state == state and flight.runs[i].state == state:
            flight.runs[kept].end = flight.runs[i].end
            continue
        kept += 1
        if kept != i:
            flight.runs[kept] = flight.runs[i]
    if flight.count:
        flight.count = kept + 1


cdef inline bint flight_next_lost(const Flight *flight, FlightRun *run) noexcept nogil:
    """The first run to be sent again."""
    cdef uint32_t i
    if flight.lost == 0:
        return False
    for i in range(flight.count):
        if flight.runs[i].state & RUN_LOST:
            run[0] = flight.runs[i]
            return True
    return False


cdef inline void flight_resent(Flight *flight, uint32_t start, uint32_t end, uint32_t now_us) noexcept nogil:
    """[start, end), from the start of a lost run, was sent again. Without room to split, the whole
    run counts as sent: RACK finds out what of it was not."""
    cdef uint32_t i
    for i in range(flight.count):
        if flight.runs[i].start == start or seq_lt(start, flight.runs[i].end):
            if seq_lt(flight.runs[i].start, start) and split_run(flight, i, start):
                continue_resent(flight, i + 1, end, now_us)
            else:
                continue_resent(flight, i, end, now_us)
            flight_count(flight)
            return


cdef inline void continue_resent(Flight *flight, uint32_t i, uint32_t end, uint32_t now_us) noexcept nogil:
    """Where the list has no room to split, the rest counts as sent too: RACK or a timeout finds it."""
    if seq_lt(end, flight.runs[i].end):
        split_run(flight, i, end)
    flight.runs[i].state = RUN_AGAIN
    flight.runs[i].sent_us = now_us


cdef inline void flight_undo_counts(Flight *flight, uint32_t start, uint32_t end) noexcept nogil:
    """[start, end) is sent again: a DSACK of it will count."""
    flight.undo_start = seq_min(flight.undo_start, start) if flight.undo_octets else start
    flight.undo_end = seq_max(flight.undo_end, end) if flight.undo_octets else end
    flight.undo_octets += end - start


cdef inline void flight_all_lost(Flight *flight) noexcept nogil:
    """A retransmission timeout: all that is not SACKed. A first run that is SACKed means that the
    peer took its word back (RFC 2018 8): then no SACK is believed any more."""
    cdef uint32_t i
    cdef bint reneged = flight.count != 0 and flight.runs[0].state & RUN_SACKED != 0
    for i in range(flight.count):
        if reneged or not flight.runs[i].state & RUN_SACKED:
            flight.runs[i].state = RUN_LOST
    join_runs(flight, RUN_LOST)
    flight_count(flight)


cdef inline void flight_none_lost(Flight *flight) noexcept nogil:
    """The timeout was spurious: what was marked lost and not sent again is in flight after all."""
    cdef uint32_t i
    for i in range(flight.count):
        flight.runs[i].state &= ~<uint32_t>RUN_LOST
    flight_count(flight)
