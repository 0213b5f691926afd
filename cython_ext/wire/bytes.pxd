"""Octets to numbers and back: `_be` names are network order, the others the machine's."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "abi/bytes.h" nogil:
    uint16_t load_u16(const uint8_t *p)
    uint32_t load_u32(const uint8_t *p)
    uint64_t load_u64(const uint8_t *p)
    void store_u16(uint8_t *p, uint16_t v)
    void store_u32(uint8_t *p, uint32_t v)
    void store_u64(uint8_t *p, uint64_t v)
    uint16_t load_be16(const uint8_t *p)
    uint32_t load_be32(const uint8_t *p)
    void store_be16(uint8_t *p, uint16_t v)
    void store_be32(uint8_t *p, uint32_t v)
    uint16_t swap_be16(uint16_t v)
    uint32_t swap_be32(uint32_t v)
    void prefetch(const void *p)
