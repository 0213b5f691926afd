"""A received frame becomes a TCP segment to us, something for net/control.pxd, or a counted drop.

Every length is checked before it is read. Nothing here knows connections.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cython_ext.base.counters cimport (
    C_DROP_BAD_SOURCE, C_DROP_FRAGMENT, C_DROP_IP_HEADER, C_DROP_IP_LENGTH, C_DROP_NOT_IP,
    C_DROP_OTHER_ADDRESS, C_DROP_OTHER_MAC, C_DROP_SHORT, C_DROP_TCP_CHECKSUM, C_DROP_TCP_HEADER, Counters,
    count,
)
from cython_ext.base.frame cimport Frame
from cython_ext.net.address cimport (
    ADDRESS_BYTES, LOCAL_NONE, PORT_ANY, Local, address_from_v4, local_find_v4, local_find_v6, pseudo_sum,
    v4_is_bad_source, v6_is_bad_source,
)
from cython_ext.wire.bytes cimport load_u16, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ethernet cimport ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, ethernet_parse
from cython_ext.wire.ipv4 cimport (
    IP_BAD_HEADER, IP_BAD_LENGTH, IP_FRAGMENT, IP_OK, IP_OTHER_PROTOCOL, IpPacket, IpVerdict, ipv4_parse,
)
from cython_ext.wire.ipv6 cimport ipv6_parse
from cython_ext.wire.tcp cimport TcpHeader, tcp_parse

cdef struct Segment:
    TcpHeader tcp
    Ethernet eth
    uint8_t peer_address[ADDRESS_BYTES]     # IPv4 mapped
    const uint8_t *peer_mac                 # into the frame
    const uint8_t *payload                  # into the frame
    uint32_t payload_bytes
    uint16_t pseudo                         # sum of addresses and protocol
    uint8_t local                           # number of our address
    uint8_t version                         # 4 or 6
    uint8_t ecn
    uint8_t driver                          # number of the driver that received it, filled in by the worker
    uint64_t hash                           # filled in by the connection table


cdef enum InputVerdict:
    INPUT_DROPPED               # and counted
    INPUT_SEGMENT
    INPUT_CONTROL               # to us or a group, and no TCP: ARP, ICMP and the like


cdef inline InputVerdict net_input(
    const Frame *frame, const Local *local, const uint8_t *mac, bint accept_partial,
    Segment *segment, Counters *counters,
) noexcept nogil:
    """INPUT_SEGMENT when the frame holds a sound TCP segment to one of our addresses and our port.

    mac: our own, 6 octets. accept_partial: also take a checksum field that holds only the
    pseudo-header sum, as virtual devices with checksum offload leave it.
    """
    cdef IpPacket packet
    cdef IpVerdict verdict
    if not ethernet_parse(frame.data, frame.bytes, &segment.eth):
        count(counters, C_DROP_SHORT)
        return INPUT_DROPPED
    if frame.data[0] & 1 and not frame.data[6] & 1:
        return INPUT_CONTROL
    if memcmp(frame.data, mac, 6) != 0 or frame.data[6] & 1:       # nobody is to be answered by multicast
        count(counters, C_DROP_OTHER_MAC)
        return INPUT_DROPPED
    if segment.eth.ethertype == ETHERTYPE_IPV4:
        segment.version = 4
        verdict = ipv4_parse(frame.data + segment.eth.bytes, frame.bytes - segment.eth.bytes, &packet)
    elif segment.eth.ethertype == ETHERTYPE_IPV6:
        segment.version = 6
        verdict = ipv6_parse(frame.data + segment.eth.bytes, frame.bytes - segment.eth.bytes, &packet)
    elif segment.eth.ethertype == ETHERTYPE_ARP:
        return INPUT_CONTROL
    else:
        count(counters, C_DROP_NOT_IP)
        return INPUT_DROPPED
    if verdict == IP_OTHER_PROTOCOL:
        return INPUT_CONTROL
    if verdict != IP_OK:
        count_ip_drop(verdict, counters)
        return INPUT_DROPPED
    if not input_addresses(&packet, local, segment, counters):
        return INPUT_DROPPED
    segment.peer_mac = frame.data + 6
    segment.ecn = packet.ecn
    if not input_tcp(&packet, local, accept_partial, segment, counters):
        return INPUT_DROPPED
    return INPUT_SEGMENT


cdef inline void count_ip_drop(IpVerdict verdict, Counters *counters) noexcept nogil:
    if verdict == IP_BAD_LENGTH:
        count(counters, C_DROP_IP_LENGTH)
    elif verdict == IP_FRAGMENT:
        count(counters, C_DROP_FRAGMENT)
    else:
        count(counters, C_DROP_IP_HEADER)


cdef inline bint input_addresses(
    const IpPacket *packet, const Local *local, Segment *segment, Counters *counters
) noexcept nogil:
    """Finds our address; refuses sources that nobody can have, our own among them (land)."""
    cdef bint bad
    if segment.version == 4:
        segment.local = local_find_v4(local, packet.destination)
        bad = v4_is_bad_source(packet.source) or local_find_v4(local, packet.source) != LOCAL_NONE
        address_from_v4(segment.peer_address, packet.source)
        segment.pseudo = pseudo_sum(packet.source, packet.destination, 4)
    else:
        segment.local = local_find_v6(local, packet.destination)
        bad = v6_is_bad_source(packet.source) or local_find_v6(local, packet.source) != LOCAL_NONE
        memcpy(segment.peer_address, packet.source, ADDRESS_BYTES)
        segment.pseudo = pseudo_sum(packet.source, packet.destination, 16)
    if segment.local == LOCAL_NONE:
        count(counters, C_DROP_OTHER_ADDRESS)
        return False
    if bad:
        count(counters, C_DROP_BAD_SOURCE)
        return False
    return True


cdef inline bint input_tcp(
    const IpPacket *packet, const Local *local, bint accept_partial, Segment *segment, Counters *counters
) noexcept nogil:
    if not tcp_parse(packet.payload, packet.payload_bytes, &segment.tcp) or segment.tcp.source_port == 0:
        count(counters, C_DROP_TCP_HEADER)
        return False
    if segment.tcp.destination_port != local.port and local.port != PORT_ANY:
        count(counters, C_DROP_OTHER_ADDRESS)
        return False
    if not checksum_is_sound(packet, segment.pseudo, accept_partial):
        count(counters, C_DROP_TCP_CHECKSUM)
        return False
    segment.payload = packet.payload + segment.tcp.bytes
    segment.payload_bytes = packet.payload_bytes - segment.tcp.bytes
    return True


cdef inline bint checksum_is_sound(const IpPacket *packet, uint16_t pseudo, bint accept_partial) noexcept nogil:
    """Valid over pseudo-header and segment; or, where allowed, only begun by the sender's kernel."""
    cdef uint16_t begun = sum_fold(<uint64_t>pseudo + swap_be16(<uint16_t>packet.payload_bytes))
    if accept_partial and load_u16(packet.payload + 16) == begun:
        return True
    return sum_fold(begun + sum_wide(packet.payload, packet.payload_bytes)) == 0xffff
