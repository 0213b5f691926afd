"""One frame of any kind through everything that reads frames, at the end of its memory; no connection.

Ethernet, IPv4 and IPv6, TCP with its options, SYN cookies there and back, ARP, neighbour discovery, ICMP.
The first octet says which checksums are made right before, so that mutation need not guess them.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from cython_ext.base.counters cimport COUNTER_COUNT, Counters
from cython_ext.base.frame cimport Frame
from cython_ext.base.siphash cimport SipKey
from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.guard cimport Guard, guard_copy, guard_open, memory_allow, memory_forbid
from cython_ext.fuzz.packet cimport packet_read_v4, packet_read_v6, plain_fold, plain_sum, Packet
from cython_ext.net.address cimport Local
from cython_ext.net.control cimport CONTROL_PATH_MTU, CONTROL_REPLY, ControlVerdict, PathMtu, control_input
from cython_ext.net.input cimport INPUT_CONTROL, INPUT_DROPPED, INPUT_SEGMENT, InputVerdict, Segment, net_input
from cython_ext.net.reply cimport Control, Replies, replies_init
from cython_ext.tcp.conn cimport TcpConn
from cython_ext.tcp.cookie cimport cookie_draft, cookie_is_sound
from cython_ext.tcp.output cimport timestamp_now
from cython_ext.wire.bytes cimport load_be16, store_be16
from cython_ext.wire.tcp cimport TCP_ACK, TCP_SYN

cdef enum:
    FRAME_ROOM_BYTES = 2048         # of a frame in packet memory
    FRAME_MOST = 1600               # octets of a frame that is tried
    FIX_SUMS = 1
    TAKE_PARTIAL = 2
    MSS_LEAST = 64                  # docs/limits.md

cdef struct Wire:
    Guard guard
    Local local
    SipKey key
    Counters counters
    uint8_t frame[FRAME_ROOM_BYTES]
    uint8_t room[2][FRAME_ROOM_BYTES]


cdef inline void wire_open(Wire *wire) noexcept nogil:
    """10.0.0.1 and fd00::1 are the kernel's, 10.0.0.2 and fd00::2 ours alone; port 80."""
    cdef uint32_t i
    memset(wire, 0, sizeof(Wire))
    guard_open(&wire.guard, 1)
    wire.key.k0 = 0x0123456789abcdefULL
    wire.key.k1 = 0xfedcba9876543210ULL
    wire.local.count = 4
    wire.local.port = 80
    for i in range(4):
        wire.local.address[i].version = 4 if i < 2 else 6
        wire.local.address[i].own = i & 1
        wire.local.address[i].octets[0] = 10 if i < 2 else 0xfd
        wire.local.address[i].octets[3 if i < 2 else 15] = <uint8_t>(1 + (i & 1))


cdef inline void wire_judge(Wire *wire, const uint8_t *data, uint32_t octets) noexcept nogil:
    cdef Segment segment
    cdef Frame frame
    cdef InputVerdict verdict
    cdef uint64_t dropped
    if octets < 2 or octets > FRAME_MOST:
        return
    frame.bytes = octets - 1
    memcpy(wire.frame, data + 1, frame.bytes)
    if data[0] & FIX_SUMS:
        wire_fix(wire.frame, frame.bytes)
    frame.index = 0
    frame.data = guard_copy(&wire.guard, wire.frame, frame.bytes)
    memset(&wire.counters, 0, sizeof(Counters))
    verdict = net_input(
        &frame, &wire.local, b"\x02\0\0\0\0\1", data[0] & TAKE_PARTIAL, &segment, &wire.counters
    )
    dropped = wire_counted(&wire.counters)
    fuzz_require(dropped == (verdict == INPUT_DROPPED), b"a drop is counted once", <int64_t>dropped, verdict)
    if verdict == INPUT_SEGMENT:
        judge_segment(&segment, &frame)
        if segment.tcp.flags == TCP_SYN:
            judge_cookie(wire, &segment, data[octets - 1])
    elif verdict == INPUT_CONTROL:
        judge_control(wire, frame.bytes)


cdef inline uint64_t wire_counted(const Counters *counters) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t i
    for i in range(<uint32_t>COUNTER_COUNT):
        total += counters.value[i]
    return total


cdef inline void wire_fix(uint8_t *frame, uint32_t octets) noexcept nogil:
    """Makes the checksums of IPv4, TCP, ICMP and ICMPv6 right, where there is room for them."""
    cdef Packet packet
    cdef uint32_t kind, protocol, at, total
    packet.ip = 14
    if octets < 18:
        return
    kind = load_be16(frame + 12)
    if kind == 0x8100 or kind == 0x88a8:
        packet.ip = 18
        kind = load_be16(frame + 16)
    if kind == 0x0800 and octets >= packet.ip + 20:
        packet_read_v4(frame + packet.ip, &packet)
        protocol = frame[packet.ip + 9]
    elif kind == 0x86dd and octets >= packet.ip + 40:
        packet_read_v6(frame + packet.ip, &packet)
        protocol = frame[packet.ip + 6]
    else:
        return
    if packet.ip + packet.ip_bytes > octets or packet.end > octets:
        return
    if packet.version == 4 and packet.ip_bytes >= 20:
        store_be16(frame + packet.ip + 10, 0)
        store_be16(frame + packet.ip + 10, <uint16_t>~plain_fold(plain_sum(frame + packet.ip, packet.ip_bytes)))
    packet.tcp = packet.ip + packet.ip_bytes
    at = packet.tcp + (16 if protocol == 6 else 2)
    if (protocol == 6 or protocol == 1 or protocol == 58) and at + 2 <= packet.end:
        store_be16(frame + at, 0)
        total = plain_fold(wire_sum(frame, &packet, protocol))
        store_be16(frame + at, 0xffff if total == 0xffff and protocol != 6 else <uint16_t>~total)


cdef inline uint64_t wire_sum(const uint8_t *frame, const Packet *packet, uint32_t protocol) noexcept nogil:
    """With the pseudo-header where the protocol has one."""
    cdef uint32_t octets = packet.end - packet.tcp
    cdef uint64_t total = plain_sum(frame + packet.tcp, octets)
    if protocol == 1:
        return total
    return (
        total + plain_sum(packet.source, packet.address_bytes) + plain_sum(packet.destination, packet.address_bytes)
        + protocol + octets
    )


cdef inline void judge_segment(const Segment *segment, const Frame *frame) noexcept nogil:
    """All of it lies in the frame."""
    cdef const uint8_t *end = frame.data + frame.bytes
    cdef const uint8_t *sack = segment.tcp.sack
    fuzz_require(
        segment.payload >= frame.data and segment.payload <= end
        and segment.payload_bytes <= <uint32_t>(end - segment.payload),
        b"a payload lies in its frame", segment.payload_bytes, frame.bytes,
    )
    fuzz_require(
        segment.tcp.sack_blocks <= 4 and (
            segment.tcp.sack_blocks == 0
            or (sack > frame.data and sack + 8 * segment.tcp.sack_blocks <= segment.payload)
        ),
        b"SACK blocks lie in the header", segment.tcp.sack_blocks, segment.tcp.bytes,
    )
    fuzz_require(segment.tcp.window_scale <= 14, b"a window scale is bounded", segment.tcp.window_scale, 0)
    fuzz_require(segment.tcp.source_port != 0, b"a segment has a source port", 0, 0)


cdef inline void judge_cookie(Wire *wire, const Segment *segment, uint32_t age) noexcept nogil:
    """A cookie is taken back by whoever got it, with no more than was offered, until it is too old."""
    cdef uint64_t now_ns = <uint64_t>1000000000 * 1000 + segment.tcp.seq
    cdef uint64_t later_ns = now_ns + <uint64_t>1000000000 * age
    cdef TcpConn conn
    cdef Segment answer = segment[0]
    cdef uint32_t offered = segment.tcp.mss if segment.tcp.mss else 536 if segment.version == 4 else 1220
    cdef uint32_t mss = 0
    cdef bint sound
    cookie_draft(&conn, segment, &wire.local, &wire.key, 16384, now_ns)
    answer.tcp.flags = TCP_ACK
    answer.tcp.seq = segment.tcp.seq + 1
    answer.tcp.ack = conn.snd_una + 1
    answer.tcp.ts_echo = timestamp_now(&conn, now_ns)
    sound = cookie_is_sound(&answer, wire.local.port, &wire.key, later_ns, &mss)
    if age <= 60:
        fuzz_require(sound, b"a cookie is taken back", age, segment.tcp.mss)
    elif age > 140:
        fuzz_require(not sound, b"a cookie grows too old", age, segment.tcp.mss)
    if sound:
        fuzz_require(mss <= max(offered, <uint32_t>MSS_LEAST), b"a cookie's MSS is the client's at most", mss, offered)


cdef inline void judge_control(Wire *wire, uint32_t octets) noexcept nogil:
    """Twice, with different octets behind the frame: what is answered must not depend on them."""
    cdef Frame frames[2]
    cdef PathMtu hints[2]
    cdef Control control
    cdef Replies replies
    cdef ControlVerdict verdicts[2]
    cdef uint32_t i
    memset(hints, 0, 2 * sizeof(PathMtu))
    for i in range(2):
        memset(wire.room[i], 0x55 if i else 0xaa, FRAME_ROOM_BYTES)
        memcpy(wire.room[i], wire.frame, octets)
        frames[i].index = 0
        frames[i].data = wire.room[i]
        frames[i].bytes = octets
        replies_init(&replies)
        memset(&control, 0, sizeof(Control))
        control.frame = &frames[i]
        control.local = &wire.local
        control.mac = b"\x02\0\0\0\0\1"
        control.counters = &wire.counters
        control.now_ns = <uint64_t>1000000000 * 1000
        verdicts[i] = control_input(&replies, &control, &hints[i])
    fuzz_require(verdicts[0] == verdicts[1], b"nothing is read behind a frame", verdicts[0], verdicts[1])
    if verdicts[0] == CONTROL_REPLY:
        fuzz_require(frames[0].bytes == frames[1].bytes, b"a reply has one length", frames[0].bytes, frames[1].bytes)
        judge_reply(wire, frames[0].bytes)
    elif verdicts[0] == CONTROL_PATH_MTU:
        fuzz_require(
            memcmp(&hints[0], &hints[1], sizeof(PathMtu)) == 0, b"a path MTU is the frame's", hints[0].mtu, hints[1].mtu
        )


cdef inline bint wire_asked(const uint8_t *frame, const uint8_t *mac) noexcept nogil:
    """The frame's source, or the sender that an ARP packet names: its asker, whoever sent the frame (RFC 826)."""
    cdef uint32_t at = 12
    if memcmp(mac, frame + 6, 6) == 0:
        return True
    if load_be16(frame + at) == 0x8100 or load_be16(frame + at) == 0x88a8:
        at += 4
    return load_be16(frame + at) == 0x0806 and memcmp(mac, frame + at + 10, 6) == 0


cdef inline void judge_reply(Wire *wire, uint32_t octets) noexcept nogil:
    """From us, to who asked or to all, with the sums that are right."""
    cdef uint8_t *reply = wire.room[0]
    cdef uint8_t fixed[FRAME_ROOM_BYTES]
    fuzz_require(42 <= octets <= FRAME_MOST, b"a reply has a size", octets, 0)
    fuzz_require(memcmp(reply, wire.room[1], octets) == 0, b"a reply does not depend on what lies behind", octets, 0)
    fuzz_require(memcmp(reply + 6, b"\x02\0\0\0\0\1", 6) == 0, b"a reply is from us", reply[6], reply[11])
    fuzz_require(reply[0] & 1 or wire_asked(wire.frame, reply), b"a reply goes to who asked", reply[0], wire.frame[6])
    memcpy(fixed, reply, octets)
    wire_fix(fixed, octets)
    fuzz_require(memcmp(fixed, reply, octets) == 0, b"a reply's checksums", octets, 0)
