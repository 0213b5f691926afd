/* Memory shared with the kernel or with another process is read and written only here. */
#ifndef BYPASS_ABI_ATOMICS_H
#define BYPASS_ABI_ATOMICS_H

#include <stdint.h>

static inline uint32_t atomic_load_u32(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void atomic_store_u32(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t atomic_load_u64(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void atomic_store_u64(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* For counters: one writer, readers that only need whole words. */
static inline void atomic_publish_u64(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

#endif
