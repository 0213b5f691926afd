/* Where the fuzzer is, told on the way out: a failed check, a signal, a sanitizer's report. */
#ifndef BYPASS_ABI_FUZZ_H
#define BYPASS_ABI_FUZZ_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

static volatile uint64_t fuzz_world;    /* seed of the world that runs */
static volatile uint64_t fuzz_frames;   /* frames injected in it */
static const uint8_t *fuzz_judged;      /* the frame being judged, or NULL */
static uint32_t fuzz_judged_bytes;

static void fuzz_say_where(void)
{
    dprintf(2, "fuzz: in world %llu, after %llu frames\n", (unsigned long long)fuzz_world,
            (unsigned long long)fuzz_frames);
    if (fuzz_judged) {
        dprintf(2, "fuzz: the frame that was judged:");
        for (uint32_t i = 0; i < fuzz_judged_bytes; i++)
            dprintf(2, " %02x", fuzz_judged[i]);
        dprintf(2, "\n");
    }
}

static void fuzz_on_signal(int number)
{
    if (number == SIGALRM)
        dprintf(2, "fuzz: the engine hangs\n");
    fuzz_say_where();
    signal(SIGABRT, SIG_DFL);
    abort();
}

static inline void fuzz_watch(void)
{
    signal(SIGABRT, fuzz_on_signal);
    signal(SIGALRM, fuzz_on_signal);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(fuzz_say_where);
#endif
}

/* Begins a world, which may take `limit_s` seconds of real time; 0: somebody else keeps the time. */
static inline void fuzz_begin(uint64_t world, unsigned limit_s)
{
    fuzz_world = world;
    fuzz_frames = 0;
    if (limit_s)
        alarm(limit_s);
}

static inline void fuzz_judge(const uint8_t *frame, uint32_t bytes)
{
    fuzz_judged = frame;
    fuzz_judged_bytes = bytes;
}

static inline void fuzz_count(void) { fuzz_frames++; }

/* A broken invariant: says which, with two numbers that help, and aborts. */
static inline void fuzz_require(int holds, const char *what, int64_t a, int64_t b)
{
    if (!holds) {
        fprintf(stderr, "fuzz: broken: %s (%lld, %lld)\n", what, (long long)a, (long long)b);
        abort();
    }
}

#endif
