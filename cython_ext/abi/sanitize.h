/* Octets that nobody may touch for now: marked in sanitizer builds, free of cost otherwise.
 *
 * The packet memory is one mapping, in which an address sanitizer sees no borders. So a debug build
 * forbids every frame but those in use, and of a received frame what lies around its octets.
 */
#ifndef BYPASS_ABI_SANITIZE_H
#define BYPASS_ABI_SANITIZE_H

#include <stddef.h>

#if defined(BYPASS_DEBUG) && defined(__SANITIZE_ADDRESS__)

#include <sanitizer/asan_interface.h>

static inline void memory_forbid(const void *start, size_t bytes) { __asan_poison_memory_region(start, bytes); }
static inline void memory_allow(const void *start, size_t bytes) { __asan_unpoison_memory_region(start, bytes); }

#else

static inline void memory_forbid(const void *start, size_t bytes) { (void)start; (void)bytes; }
static inline void memory_allow(const void *start, size_t bytes) { (void)start; (void)bytes; }

#endif
#endif
