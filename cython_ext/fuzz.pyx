"""A door for the fuzzer, in sanitizer builds only: hostile frames and texts at C speed.

A breach of any kind ends the process, with the world's seed on stderr.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.stdlib cimport posix_memalign

from cython_ext.base.counters cimport COUNTER_COUNT, counter_names
from cython_ext.content.store cimport Store, store_open
from cython_ext.fuzz.breach cimport breach
from cython_ext.fuzz.parser cimport parser_run
from cython_ext.fuzz.peer cimport Corpus
from cython_ext.fuzz.reader cimport large_mark
from cython_ext.fuzz.run cimport frames_of_world, fuzz_begin, fuzz_run, fuzz_watch, world_run
from cython_ext.fuzz.world cimport Totals


cdef class Fuzzer:
    """Holds the site and the requests, both in memory of exactly their size."""

    cdef uint8_t *_image
    cdef uint8_t *_octets
    cdef uint32_t *_ends
    cdef Corpus _corpus
    cdef Totals _totals

    def __init__(self, bytes image not None, list requests not None):
        cdef uint32_t at = 0
        cdef uint32_t i
        cdef bytes text
        whole = b"".join(requests)
        self._octets = <uint8_t *>calloc(len(whole), 1)
        self._ends = <uint32_t *>calloc(len(requests), sizeof(uint32_t))
        if posix_memalign(<void **>&self._image, 64, len(image)) or not self._octets or not self._ends:
            raise MemoryError("no memory for the fuzzer")
        memcpy(self._image, <const char *>image, len(image))
        large_mark(self._image)
        memcpy(self._octets, <const char *>whole, len(whole))
        for i, text in enumerate(requests):
            at += <uint32_t>len(text)
            self._ends[i] = at
        self._corpus.octets = self._octets
        self._corpus.ends = self._ends
        self._corpus.entries = <uint32_t>len(requests)
        memset(&self._totals, 0, sizeof(Totals))
        fuzz_watch()

    def __dealloc__(self):
        free(self._image)
        free(self._octets)
        free(self._ends)

    def frames(self, uint64_t seed, uint64_t frames):
        """World after world, `frames` frames in all at least."""
        with nogil:
            fuzz_run(seed, frames, self._image, &self._corpus, &self._totals)

    def world(self, uint64_t seed):
        """One world again, by the seed that a breach has printed."""
        with nogil:
            world_run(seed, frames_of_world(seed), self._image, &self._corpus, &self._totals)

    def requests(self, uint64_t seed, uint64_t rounds):
        """`rounds` texts through the request parser alone."""
        cdef Store store
        store_open(&store, self._image)
        with nogil:
            fuzz_begin(seed, 600)
            parser_run(seed, rounds, &self._corpus, &store)
        self._totals.parsed += rounds

    def breach(self, uint32_t kind):
        """Does what must not be done (fuzz/breach.pxd); returns only where nothing looks."""
        cdef uint32_t found
        with nogil:
            fuzz_begin(kind, 1)
            found = breach(kind)
        return found

    def totals(self):
        """What was done so far, and the engine's counters over all worlds."""
        cdef dict found = {
            "worlds": self._totals.worlds,
            "frames": self._totals.frames,
            "refused": self._totals.refused,
            "turns": self._totals.turns,
            "judged": self._totals.judged,
            "payload_octets": self._totals.payload_octets,
            "faults": self._totals.faults,
            "parsed": self._totals.parsed,
        }
        found["counters"] = {
            counter_names[i].decode(): self._totals.counters.value[i] for i in range(COUNTER_COUNT)
        }
        return found
