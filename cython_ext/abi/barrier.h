/* Keeps the compiler from moving or dropping what a measurement measures. */
#ifndef BYPASS_ABI_BARRIER_H
#define BYPASS_ABI_BARRIER_H

static inline void barrier_keep(const void *p) { __asm__ volatile("" : : "g"(p) : "memory"); }

#endif
