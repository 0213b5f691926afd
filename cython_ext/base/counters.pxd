"""Counters of one worker: plain words on the hot path, one writer.

abi/counters.h lists them with their meaning. Layers take a `Counters *` and add to it; the
worker publishes a copy now and then, which other threads read.
"""

from libc.stdint cimport uint64_t

cdef extern from "abi/counters.h" nogil:
    enum:
        C_RX_FRAMES
        C_RX_OCTETS
        C_TX_FRAMES
        C_TX_OCTETS
        C_TX_REFUSED
        C_TX_NO_FRAME
        C_DROP_SHORT
        C_DROP_OTHER_MAC
        C_DROP_NOT_IP
        C_DROP_IP_HEADER
        C_DROP_IP_LENGTH
        C_DROP_FRAGMENT
        C_DROP_NOT_TCP
        C_DROP_OTHER_ADDRESS
        C_DROP_BAD_SOURCE
        C_DROP_TCP_HEADER
        C_DROP_TCP_CHECKSUM
        C_DROP_CONTROL
        C_ARP_REPLIES
        C_ND_REPLIES
        C_ECHO_REPLIES
        C_REPLIES_LIMITED
        C_ADDRESS_CONFLICTS
        C_ADDRESS_DEFENDED
        C_PATH_MTU_LOWERED
        C_PATH_MTU_IGNORED
        C_PATH_MTU_RAISED
        C_SYN_RECEIVED
        C_COOKIES_SENT
        C_COOKIES_ACCEPTED
        C_COOKIES_BAD
        C_TABLE_FULL
        C_SOURCE_LIMITED
        C_SYN_DRAINING
        C_OPENED
        C_CLOSED
        C_RESET_BY_PEER
        C_ABORTED
        C_TIME_WAIT_REUSED
        C_TIME_WAIT_EVICTED
        C_IDLE_EVICTED
        C_HALF_OPEN_EVICTED
        C_NO_CONNECTION
        C_RST_SENT
        C_RST_IGNORED
        C_CHALLENGE_ACK
        C_CHALLENGE_LIMITED
        C_OUT_OF_WINDOW
        C_PAWS_REJECTED
        C_BAD_ACK
        C_NOT_TAKEN
        C_OUT_OF_ORDER
        C_NO_REASSEMBLY
        C_REASSEMBLY_GIVEN_UP
        C_DUP_ACKS
        C_RETRANSMITTED
        C_FAST_RETRANSMIT
        C_RTO
        C_SPURIOUS_RTO
        C_SPURIOUS_RECOVERY
        C_TAIL_PROBES
        C_TAIL_LOSS
        C_ECN_REDUCTIONS
        C_BLACK_HOLES
        C_NO_FLIGHT_BLOCK
        C_WINDOW_PROBES
        C_REQUESTS
        C_RESPONSES_2XX
        C_RESPONSES_3XX
        C_RESPONSES_4XX
        C_RESPONSES_5XX
        C_HEADER_TIMEOUTS
        C_IDLE_TIMEOUTS
        C_NO_REQUEST_BUFFER
        C_NO_NOTE
        C_NO_QUEUE_BLOCK
        C_BODY_WAITS
        C_BODY_FAILED
        C_TIMERS
        C_LOG_DROPPED
        C_WORKER_TURNS
        C_WORKER_SLEEPS
        COUNTER_COUNT
    const char *counter_names[]
    const char *counter_help[]

cdef struct Counters:
    uint64_t value[COUNTER_COUNT]


cdef inline void count(Counters *counters, int which) noexcept nogil:
    counters.value[which] += 1


cdef inline void count_many(Counters *counters, int which, uint64_t many) noexcept nogil:
    counters.value[which] += many
