"""The targets of the coverage-guided fuzzer: libFuzzer calls them, no interpreter runs.

`--target=NAME` chooses one, `--data=FOLDER` names the site and the requests (tests/fuzz/guided.py).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport exit
from libc.string cimport strcmp

from cython_ext.fuzz.guided cimport guided_world
from cython_ext.fuzz.peer cimport Corpus
from cython_ext.fuzz.run cimport fuzz_watch
from cython_ext.fuzz.world cimport Totals

cdef extern from "abi/fuzz_files.h" nogil:
    const char *fuzz_argument(int count, char **arguments, const char *name)
    uint8_t *fuzz_file(const char *folder, const char *name, uint32_t *octets)

cdef enum Target:
    TARGET_TCP
    TARGETS

cdef uint32_t target
cdef uint8_t *image
cdef Corpus requests
cdef Totals totals


cdef const char *target_name(uint32_t number) noexcept nogil:
    return b"tcp"


cdef void packed_read(const char *folder, const char *name, Corpus *out) noexcept nogil:
    """A file of: how many entries, where each ends, their octets."""
    cdef uint32_t octets
    cdef const uint8_t *data = fuzz_file(folder, name, &octets)
    cdef const uint32_t *numbers = <const uint32_t *>data
    out.entries = numbers[0]
    out.ends = numbers + 1
    out.octets = data + 4 * (1 + out.entries)


cdef public int LLVMFuzzerInitialize(int *count, char ***arguments) noexcept nogil:
    global target, image
    cdef uint32_t octets
    cdef const char *folder = fuzz_argument(count[0], arguments[0], b"--data")
    cdef const char *name = fuzz_argument(count[0], arguments[0], b"--target")
    while target < TARGETS and (name == NULL or strcmp(name, target_name(target)) != 0):
        target += 1
    if target == TARGETS:
        fprintf(stderr, b"fuzz: --target= names no target\n")
        exit(64)
    image = fuzz_file(folder, b"site.img", &octets)
    packed_read(folder, b"requests", &requests)
    fuzz_watch()
    return 0


cdef public int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets) noexcept nogil:
    if target == TARGET_TCP:
        guided_world(data, <uint32_t>octets, image, &requests, &totals)
    return 0
