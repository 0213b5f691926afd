"""What a segment did to its connection: bits that TCP hands to the worker."""

from libc.stdint cimport uint8_t, uint32_t

cdef enum TcpEvent:
    EVENT_NONE = 0
    EVENT_DATA = 1              # TcpEvents.data holds new octets in order, or the peer's FIN
    EVENT_ACKED = 2             # TcpEvents.acked octets of ours were acknowledged
    EVENT_ESTABLISHED = 4       # the handshake is complete
    EVENT_CLOSED = 8            # the record is to be freed
    EVENT_RESET = 16            # answer with a RST made from the segment
    EVENT_SYN_AGAIN = 32        # the peer repeats its SYN: repeat the SYN-ACK
    EVENT_TIME_WAIT = 64        # TIME-WAIT begins, or begins anew
    EVENT_OUT_OF_ORDER = 128    # octets or a FIN for tcp/reassembly: something before them is missing, or was
    EVENT_DUPLICATE = 256       # TcpEvents.duplicate_* were received before

cdef struct TcpEvents:
    const uint8_t *data
    uint32_t data_bytes
    uint32_t fin                # 1: the peer's FIN follows these octets
    uint32_t acked
    uint32_t duplicate_start    # sequence numbers
    uint32_t duplicate_end
