"""ARP for IPv4 over Ethernet (RFC 826): parse may fail, emit may not."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from cython_ext.wire.bytes cimport load_be16, load_be32, store_be16, store_be32

cdef enum:
    ARP_BYTES = 28
    ARP_REQUEST = 1
    ARP_REPLY = 2
    ARP_ETHERNET = 1            # hardware type
    ARP_IPV4_SIZES = 0x08000604     # protocol type, 6 octets of hardware address, 4 of protocol address

cdef struct Arp:
    uint16_t operation              # ARP_REQUEST or ARP_REPLY
    const uint8_t *sender_mac       # these point into the frame
    const uint8_t *sender
    const uint8_t *target


cdef inline bint arp_parse(const uint8_t *arp, uint32_t octets, Arp *packet) noexcept nogil:
    """`octets` from the packet to the end of the frame, padding included. False when it is no ARP for
    IPv4 over Ethernet, or neither request nor reply, or its sender is no single station."""
    if octets < ARP_BYTES:
        return False
    packet.operation = load_be16(arp + 6)
    packet.sender_mac = arp + 8
    packet.sender = arp + 14
    packet.target = arp + 24
    return (
        load_be16(arp) == ARP_ETHERNET
        and load_be32(arp + 2) == ARP_IPV4_SIZES
        and (packet.operation == ARP_REQUEST or packet.operation == ARP_REPLY)
        and packet.sender_mac[0] & 1 == 0
    )


cdef inline void arp_emit(
    uint8_t *arp, uint16_t operation, const uint8_t *sender_mac, const uint8_t *sender,
    const uint8_t *target_mac, const uint8_t *target,
) noexcept nogil:
    """All of ARP_BYTES. The arguments lie outside the packet."""
    store_be16(arp, ARP_ETHERNET)
    store_be32(arp + 2, ARP_IPV4_SIZES)
    store_be16(arp + 6, operation)
    memcpy(arp + 8, sender_mac, 6)
    memcpy(arp + 14, sender, 4)
    memcpy(arp + 18, target_mac, 6)
    memcpy(arp + 24, target, 4)
