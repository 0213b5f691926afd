"""One connection's record and its states (RFC 9293 3.3). Knows neither frames nor HTTP.

The byte stream we send is counted, not held: `send_queue` octets follow snd_una. Which octets
they are is the caller's business, and so a retransmission is made again from its offset.

Time is a tick of 2^20 ns (about 1 ms) as uint32; ticks compare like sequence numbers.

Transitions, all of them (event -> next state):

    CLOSED       we send SYN (tcp/active) -> SYN_SENT
    SYN_SENT     SYN-ACK received -> ESTABLISHED         SYN received -> SYN_RCVD
    SYN_RCVD     handshake completed -> ESTABLISHED      FIN with it -> CLOSE_WAIT
    ESTABLISHED  we send FIN -> FIN_WAIT_1               FIN received -> CLOSE_WAIT
    FIN_WAIT_1   our FIN acknowledged -> FIN_WAIT_2      FIN received -> CLOSING
    FIN_WAIT_2   FIN received -> TIME_WAIT
    CLOSING      our FIN acknowledged -> TIME_WAIT
    CLOSE_WAIT   we send FIN -> LAST_ACK
    LAST_ACK     our FIN acknowledged -> CLOSED
    TIME_WAIT    2 MSL passed, evicted, or reused by a new SYN -> CLOSED
    any          RST accepted, given up -> CLOSED

A CLOSED record is free. "We send FIN" happens when FIN_QUEUED is set; the state changes at
that moment, the FIN itself leaves behind the queued octets.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.net.address cimport ADDRESS_BYTES
from cython_ext.wire.ethernet cimport ETHERTYPE_QINQ, ETHERTYPE_VLAN

cdef enum TcpState:
    TCP_CLOSED = 0
    TCP_SYN_SENT = 1
    TCP_SYN_RCVD = 2
    TCP_ESTABLISHED = 3
    TCP_FIN_WAIT_1 = 4
    TCP_FIN_WAIT_2 = 5
    TCP_CLOSING = 6
    TCP_CLOSE_WAIT = 7
    TCP_LAST_ACK = 8
    TCP_TIME_WAIT = 9

cdef enum TcpFlag:
    CONN_IPV6 = 1
    CONN_TIMESTAMPS = 2         # both sides offered RFC 7323 timestamps
    CONN_WINDOW_SCALE = 4       # both sides offered window scaling
    CONN_SACK = 8               # both sides offered SACK
    CONN_FIN_QUEUED = 16        # our FIN follows the queued octets
    CONN_FIN_RECEIVED = 32
    CONN_ACK_NOW = 64           # an acknowledgement is due at once
    CONN_RESEND_FIRST = 128     # the segment at snd_una is to be sent again (fast retransmit)
    CONN_RECOVERING = 256       # until snd_una passes `recover`
    CONN_RTO_ARMED = 512
    CONN_TIMING = 1024          # timed_seq is being measured
    CONN_PROBE = 2048           # one octet may be sent into a closed window, a short segment into a small one
    CONN_OUTPUT_LISTED = 4096   # waits in the worker's list for frames
    CONN_TIMER_LISTED = 8192    # is in the timer wheel
    CONN_NEWRENO = 1 << 14      # congestion control is NewReno, not CUBIC
    CONN_ECN = 1 << 15          # both sides offered RFC 3168
    CONN_ECN_ECHO = 1 << 16     # a packet of the peer's met congestion: say so until it has heard
    CONN_CWR_DUE = 1 << 17      # the window was reduced: say so with the next new octets
    CONN_LARGE_ARRIVES = 1 << 19    # a full segment was acknowledged: the path carries it
    CONN_TAIL_PROBE = 1 << 18   # one segment may leave as a tail loss probe (RFC 8985 7)
    CONN_TALLIED = 1 << 20      # counted among its source's connections
    CONN_SACK_DUE = 1 << 21     # a bare ACK is due, that says what arrived out of order or twice
    CONN_TIMER_FAR = 1 << 22    # with CONN_TIMER_LISTED: in a far slot
    CONN_TAGGED = 1 << 23       # the link has a VLAN tag
    CONN_TAG_SERVICE = 1 << 24  # of 802.1ad
    CONN_PACED = 1 << 26        # new octets wait for their pace: the wheel looks again at the next tick
    CONN_WAIT_LISTED = 1 << 25  # in the list of TIME_WAIT records: phase.wait is valid

cdef enum TimerKind:            # what falls due at rto_at
    TIMER_RTO = 0
    TIMER_PROBE = 1             # tail loss probe
    TIMER_REORDER = 2           # RACK looks again

cdef enum:
    OCTET_TICKS = 2             # an octet buys so much time: who is slower than about 480 a second runs out of it

cdef struct CubicEpoch:         # since epoch_at
    uint32_t cwnd               # at its beginning
    uint32_t w_est              # what Reno would have

cdef struct WaitLink:           # list of TIME_WAIT records, oldest first
    uint32_t prev
    uint32_t next

cdef union Phase:               # nobody needs both
    CubicEpoch epoch
    WaitLink wait

cdef struct TcpConn:
    # Who: the key of the table
    uint8_t peer_address[ADDRESS_BYTES]     # IPv4 mapped
    uint16_t peer_port
    uint8_t local               # number of our address
    uint8_t state               # TcpState
    uint32_t chain              # next record in the bucket, or NIL
    # What we receive
    uint32_t rcv_nxt            # RFC 9293 RCV.NXT
    uint32_t rcv_edge           # highest sequence number ever advertised as acceptable, plus one
    uint32_t ts_recent          # RFC 7323 TS.Recent
    uint32_t last_ack_sent      # RFC 7323 Last.ACK.sent
    # What we send
    uint32_t snd_una            # oldest octet not acknowledged
    uint32_t snd_nxt            # next octet to send; goes back on a timeout
    uint32_t snd_max            # highest snd_nxt so far
    uint32_t snd_wnd            # peer's window in octets, scaled
    uint64_t send_queue         # octets queued from snd_una on, sent or not, without FIN
    uint32_t snd_wl1            # seq of the segment that last updated the window
    uint32_t snd_wl2            # ack of that segment
    uint32_t flags              # TcpFlag
    uint16_t mss                # payload octets per segment, options deducted
    uint8_t snd_scale           # shift for the peer's window field
    uint8_t backoff             # retransmission timeouts in a row
    # Congestion control (RFC 5681, RFC 6582)
    uint32_t cwnd
    uint32_t ssthresh
    uint32_t recover            # NewReno: snd_max when loss was found
    uint32_t snd_wnd_max        # largest window the peer ever offered
    uint32_t flight             # number of the flight block, or NIL
    # CUBIC (RFC 9438)
    uint32_t w_max              # window before the last reduction
    uint32_t epoch_at           # tick when congestion avoidance began, 0: not yet
    Phase phase
    # Round trip time (RFC 6298)
    uint32_t srtt_us
    uint32_t rttvar_us
    uint32_t rto_us             # without back-off
    uint32_t timed_seq          # an ACK at or beyond this ends the measurement
    uint32_t timed_at_us        # low 32 bits of the time in microseconds
    uint32_t ts_offset          # added to our timestamps, secret
    # Timers, in ticks
    uint32_t rto_at
    uint32_t sent_at            # last octets sent
    uint32_t active_at          # last progress: requests taken or responses acknowledged, see conn_progress
    uint32_t timer_at           # tick under which the wheel lists us
    uint32_t timer_prev
    uint32_t timer_next
    # Link
    uint8_t peer_mac[6]
    uint16_t tag                # VLAN, with CONN_TAGGED
    uint16_t pseudo             # sum of addresses and protocol
    uint8_t driver              # number of the driver that received the newest segment
    uint8_t dup_acks
    uint8_t timer_kind          # TimerKind
    uint8_t mss_lowered_at      # tcp/pathmtu
    uint16_t mss_most           # what mss was before the path made it smaller; 0: nothing did
    uint16_t challenged_at      # tcp/challenge: last answer to a doubtful segment
    uint16_t reassembly         # number of the reassembly block plus 1; 0: nothing is held out of order


cdef inline uint32_t tick_of(uint64_t now_ns) noexcept nogil:
    return <uint32_t>(now_ns >> 20)


cdef inline uint32_t ticks_from_us(uint64_t duration_us) noexcept nogil:
    """Rounded up, at least 1."""
    return <uint32_t>((duration_us * 1000 >> 20) + 1)


cdef inline uint16_t conn_tag_type(const TcpConn *conn) noexcept nogil:
    """Ethertype of the link's VLAN tag; 0 without one."""
    if not conn.flags & CONN_TAGGED:
        return 0
    return ETHERTYPE_QINQ if conn.flags & CONN_TAG_SERVICE else ETHERTYPE_VLAN


cdef inline void conn_set_tag(TcpConn *conn, uint16_t tag_type, uint16_t tag) noexcept nogil:
    conn.flags &= ~<uint32_t>(CONN_TAGGED | CONN_TAG_SERVICE)
    if tag_type:
        conn.flags |= CONN_TAGGED | CONN_TAG_SERVICE if tag_type == ETHERTYPE_QINQ else CONN_TAGGED
        conn.tag = tag


cdef inline void conn_progress(TcpConn *conn, uint64_t octets, uint32_t tick) noexcept nogil:
    """The peer has moved on by so many octets: active_at comes nearer to the present, as they deserve."""
    cdef uint64_t bought = octets * OCTET_TICKS
    if bought >= tick - conn.active_at:
        conn.active_at = tick
    else:
        conn.active_at += <uint32_t>bought


cdef inline uint32_t conn_flight(const TcpConn *conn) noexcept nogil:
    """Sequence numbers sent and not acknowledged, as far as snd_nxt stands."""
    return conn.snd_nxt - conn.snd_una


cdef inline bint conn_may_send_data(const TcpConn *conn) noexcept nogil:
    """States in which queued octets, or octets to repeat, may exist."""
    return conn.state >= TCP_ESTABLISHED and conn.state != TCP_FIN_WAIT_2 and conn.state != TCP_TIME_WAIT


cdef inline bint conn_takes_data(const TcpConn *conn) noexcept nogil:
    """States in which the peer may still send octets."""
    return TCP_ESTABLISHED <= conn.state <= TCP_FIN_WAIT_2
