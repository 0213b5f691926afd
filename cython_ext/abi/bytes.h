/* Unaligned reads and writes of octets, in the machine's order and in network order. */
#ifndef BYPASS_ABI_BYTES_H
#define BYPASS_ABI_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t load_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t load_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void store_u16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void store_u32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void store_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint16_t swap_be16(uint16_t v) { return __builtin_bswap16(v); }
static inline uint32_t swap_be32(uint32_t v) { return __builtin_bswap32(v); }
#else
static inline uint16_t swap_be16(uint16_t v) { return v; }
static inline uint32_t swap_be32(uint32_t v) { return v; }
#endif

static inline uint16_t load_be16(const uint8_t *p) { return swap_be16(load_u16(p)); }
static inline uint32_t load_be32(const uint8_t *p) { return swap_be32(load_u32(p)); }
static inline void store_be16(uint8_t *p, uint16_t v) { store_u16(p, swap_be16(v)); }
static inline void store_be32(uint8_t *p, uint32_t v) { store_u32(p, swap_be32(v)); }

/* Has the line around p fetched into the first cache. Not by the builtin alone: a function of nothing else has no
 * effect that gcc knows, and its calls are taken out (tests/unit/test_prefetch.py). */
static inline void prefetch(const void *p)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)p));
#else
    __builtin_prefetch(p, 0, 3);
    __asm__ volatile("" : : "r"(p));
#endif
}

#endif
