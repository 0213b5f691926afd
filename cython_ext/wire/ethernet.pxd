"""Ethernet II with at most one VLAN tag (IEEE 802.3, 802.1Q, 802.1ad)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from cython_ext.wire.bytes cimport load_be16, store_be16

cdef enum:
    ETH_BYTES = 14
    ETH_TAG_BYTES = 4
    ETH_MAC_BYTES = 6
    ETHERTYPE_IPV4 = 0x0800
    ETHERTYPE_ARP = 0x0806
    ETHERTYPE_IPV6 = 0x86dd
    ETHERTYPE_VLAN = 0x8100
    ETHERTYPE_QINQ = 0x88a8

cdef struct Ethernet:
    uint16_t ethertype      # of the payload, behind a tag
    uint16_t tag_type       # 0 when untagged, else the tag's own ethertype
    uint16_t tag            # tag control information
    uint32_t bytes          # of the header


cdef inline bint ethernet_parse(const uint8_t *frame, uint32_t octets, Ethernet *eth) noexcept nogil:
    """False when the frame is too short."""
    if octets < ETH_BYTES:
        return False
    eth.ethertype = load_be16(frame + 12)
    eth.tag_type = 0
    eth.tag = 0
    eth.bytes = ETH_BYTES
    if eth.ethertype == ETHERTYPE_VLAN or eth.ethertype == ETHERTYPE_QINQ:
        if octets < ETH_BYTES + ETH_TAG_BYTES:
            return False
        eth.tag_type = eth.ethertype
        eth.tag = load_be16(frame + 14)
        eth.ethertype = load_be16(frame + 16)
        eth.bytes = ETH_BYTES + ETH_TAG_BYTES
    return True


cdef inline uint32_t ethernet_emit(
    uint8_t *frame, const uint8_t *destination, const uint8_t *source,
    uint16_t ethertype, uint16_t tag_type, uint16_t tag,
) noexcept nogil:
    """Writes the header; returns its size. `destination` and `source` lie outside `frame`."""
    memcpy(frame, destination, ETH_MAC_BYTES)
    memcpy(frame + 6, source, ETH_MAC_BYTES)
    if tag_type:
        store_be16(frame + 12, tag_type)
        store_be16(frame + 14, tag)
        store_be16(frame + 16, ethertype)
        return ETH_BYTES + ETH_TAG_BYTES
    store_be16(frame + 12, ethertype)
    return ETH_BYTES
