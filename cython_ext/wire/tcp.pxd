"""TCP headers and options (RFC 9293 3.1, RFC 7323, RFC 2018): parse may fail, emit may not."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from cython_ext.wire.bytes cimport load_be16, load_be32, store_be16, store_be32, store_u16, store_u32

cdef enum:
    TCP_BYTES = 20
    TCP_TIMESTAMP_BYTES = 12        # NOP NOP timestamps: the layout RFC 7323 appendix A recommends
    TCP_MAX_HEADER = 60
    TCP_FIN = 1
    TCP_SYN = 2
    TCP_RST = 4
    TCP_PSH = 8
    TCP_ACK = 16
    TCP_URG = 32
    TCP_ECE = 64                    # RFC 3168 6.1
    TCP_CWR = 128
    TCP_OPTION_END = 0
    TCP_OPTION_NOP = 1
    TCP_OPTION_MSS = 2
    TCP_OPTION_WINDOW_SCALE = 3
    TCP_OPTION_SACK_PERMITTED = 4
    TCP_OPTION_SACK = 5
    TCP_OPTION_TIMESTAMPS = 8
    TCP_WINDOW_SCALE_MAX = 14       # RFC 7323 2.3

cdef struct TcpHeader:
    uint16_t source_port
    uint16_t destination_port
    uint32_t seq
    uint32_t ack
    uint16_t window                 # as on the wire, not scaled
    uint8_t flags
    uint8_t has_timestamps
    uint8_t has_window_scale
    uint8_t window_scale            # at most TCP_WINDOW_SCALE_MAX
    uint8_t sack_permitted
    uint16_t mss                    # 0 when the option is absent
    uint32_t ts_value
    uint32_t ts_echo
    const uint8_t *sack             # the blocks of a SACK option, 8 octets each
    uint8_t sack_blocks             # how many: at most 4
    uint32_t bytes                  # of the header with its options


cdef inline bint tcp_parse(const uint8_t *tcp, uint32_t octets, TcpHeader *header) noexcept nogil:
    """False when header or options do not fit in `octets`, the whole segment."""
    if octets < TCP_BYTES:
        return False
    header.bytes = (tcp[12] >> 4) * 4
    if header.bytes < TCP_BYTES or header.bytes > octets:
        return False
    header.source_port = load_be16(tcp)
    header.destination_port = load_be16(tcp + 2)
    header.seq = load_be32(tcp + 4)
    header.ack = load_be32(tcp + 8)
    header.flags = tcp[13]
    header.window = load_be16(tcp + 14)
    header.has_timestamps = 0
    header.has_window_scale = 0
    header.window_scale = 0
    header.sack_permitted = 0
    header.sack = NULL
    header.sack_blocks = 0
    header.mss = 0
    header.ts_value = 0
    header.ts_echo = 0
    if header.bytes == TCP_BYTES + TCP_TIMESTAMP_BYTES and load_be32(tcp + 20) == 0x0101080a:
        header.has_timestamps = 1       # the usual case, without a loop
        header.ts_value = load_be32(tcp + 24)
        header.ts_echo = load_be32(tcp + 28)
        return True
    return tcp_parse_options(tcp + TCP_BYTES, header.bytes - TCP_BYTES, header)


cdef inline bint tcp_parse_options(const uint8_t *option, uint32_t octets, TcpHeader *header) noexcept nogil:
    """False when an option's length is below 2 or runs over the end."""
    cdef uint32_t i = 0
    cdef uint32_t size
    while i < octets:
        if option[i] == TCP_OPTION_END:
            return True
        if option[i] == TCP_OPTION_NOP:
            i += 1
            continue
        if i + 2 > octets:
            return False
        size = option[i + 1]
        if size < 2 or size > octets - i:
            return False
        tcp_take_option(option + i, size, header)
        i += size
    return True


cdef inline void tcp_take_option(const uint8_t *option, uint32_t size, TcpHeader *header) noexcept nogil:
    """An option of a known kind but another length is ignored (RFC 9293 3.2, MUST-6)."""
    if option[0] == TCP_OPTION_MSS and size == 4:
        header.mss = load_be16(option + 2)
    elif option[0] == TCP_OPTION_WINDOW_SCALE and size == 3:
        header.has_window_scale = 1
        header.window_scale = min(option[2], <uint8_t>TCP_WINDOW_SCALE_MAX)
    elif option[0] == TCP_OPTION_SACK_PERMITTED and size == 2:
        header.sack_permitted = 1
    elif option[0] == TCP_OPTION_SACK and size >= 10 and size % 8 == 2:
        header.sack = option + 2
        header.sack_blocks = <uint8_t>(size // 8)
    elif option[0] == TCP_OPTION_TIMESTAMPS and size == 10:
        header.has_timestamps = 1
        header.ts_value = load_be32(option + 2)
        header.ts_echo = load_be32(option + 6)


cdef inline void tcp_emit_fixed(
    uint8_t *tcp, uint16_t source_port, uint16_t destination_port, uint32_t seq, uint32_t ack,
    uint8_t flags, uint16_t window, uint32_t header_bytes,
) noexcept nogil:
    """The 20 octets every segment has; checksum and urgent pointer 0."""
    store_be16(tcp, source_port)
    store_be16(tcp + 2, destination_port)
    store_be32(tcp + 4, seq)
    store_be32(tcp + 8, ack)
    tcp[12] = <uint8_t>(header_bytes << 2)
    tcp[13] = flags
    store_be16(tcp + 14, window)
    store_u32(tcp + 16, 0)


cdef inline void tcp_emit_timestamps(uint8_t *option, uint32_t value, uint32_t echo) noexcept nogil:
    store_be32(option, 0x0101080a)
    store_be32(option + 4, value)
    store_be32(option + 8, echo)


cdef inline void tcp_store_checksum(uint8_t *tcp, uint16_t total) noexcept nogil:
    """`total`: sum of pseudo-header, header and payload."""
    store_u16(tcp + 16, <uint16_t>~total)
