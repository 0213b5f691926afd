"""The targets of the coverage-guided fuzzer: libFuzzer calls them, no interpreter runs.

`--target=NAME` chooses one, `--data=FOLDER` names the site and the requests (tests/fuzz/guided.py),
`--plant=NUMBER` puts a fault into it (fuzz/plant.pxd).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport atoi, exit
from libc.string cimport strcmp

from cython_ext.content.store cimport Store, store_open
from cython_ext.fuzz.guided cimport guided_world
from cython_ext.fuzz.peer cimport Corpus
from cython_ext.fuzz.plant cimport PLANT_BODY, plant_body
from cython_ext.fuzz.reader cimport large_mark
from cython_ext.fuzz.stream cimport Answer, stream_judge
from cython_ext.fuzz.text cimport Desk, desk_open, text_judge
from cython_ext.fuzz.wire cimport Wire, wire_judge, wire_open
from cython_ext.fuzz.world cimport Totals

cdef extern from "abi/fuzz_files.h" nogil:
    const char *fuzz_argument(int count, char **arguments, const char *name)
    uint8_t *fuzz_file(const char *folder, const char *name, uint32_t *octets)

cdef enum Target:
    TARGET_TCP
    TARGET_STREAM
    TARGET_REQUEST
    TARGET_WIRE
    TARGETS

cdef uint32_t target
cdef uint32_t plant
cdef uint8_t *image
cdef Corpus requests
cdef Corpus files
cdef Totals totals
cdef Store store
cdef Desk desk
cdef Wire wire
cdef Answer whole
cdef Answer other


cdef const char *target_name(uint32_t number) noexcept nogil:
    if number == TARGET_TCP:
        return b"tcp"
    if number == TARGET_STREAM:
        return b"stream"
    return b"request" if number == TARGET_REQUEST else b"wire"


cdef void packed_read(const char *folder, const char *name, Corpus *out) noexcept nogil:
    """A file of: how many entries, where each ends, their octets."""
    cdef uint32_t octets
    cdef uint8_t *data = fuzz_file(folder, name, &octets)
    cdef const uint32_t *numbers = <const uint32_t *>data
    out.entries = numbers[0]
    out.ends = numbers + 1
    out.octets = data + 4 * (1 + out.entries)


cdef public int LLVMFuzzerInitialize(int *count, char ***arguments) noexcept nogil:
    global target, image, plant
    cdef uint32_t octets
    cdef const char *folder = fuzz_argument(count[0], arguments[0], b"--data")
    cdef const char *name = fuzz_argument(count[0], arguments[0], b"--target")
    cdef const char *fault = fuzz_argument(count[0], arguments[0], b"--plant")
    while target < TARGETS and (name == NULL or strcmp(name, target_name(target)) != 0):
        target += 1
    if target == TARGETS:
        fprintf(stderr, b"fuzz: --target= names no target\n")
        exit(64)
    plant = <uint32_t>atoi(fault) if fault != NULL else 0
    image = fuzz_file(folder, b"site.img", &octets)
    large_mark(image)
    packed_read(folder, b"requests", &requests)
    packed_read(folder, b"files", &files)
    if plant == PLANT_BODY:
        plant_body(<uint8_t *>files.octets, files.ends[files.entries - 1])
    store_open(&store, image)
    desk_open(&desk)
    wire_open(&wire)
    return 0


cdef public int LLVMFuzzerTestOneInput(const uint8_t *data, size_t octets) noexcept nogil:
    if target == TARGET_TCP:
        guided_world(data, <uint32_t>octets, image, &requests, &files, plant, &totals)
    elif target == TARGET_STREAM:
        stream_judge(data, <uint32_t>octets, image, &requests, &files, &totals, &whole, &other)
    elif target == TARGET_REQUEST:
        text_judge(&desk, &store, data, <uint32_t>octets, plant)
    else:
        wire_judge(&wire, data, <uint32_t>octets)
    return 0
