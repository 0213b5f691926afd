"""Memory that ends at a forbidden page: who reads one octet behind a text crashes, sanitizer or not."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, mmap, mprotect

from cython_ext.fuzz.audit cimport fuzz_require

cdef extern from "abi/sanitize.h" nogil:
    void memory_allow(const void *start, size_t octets)
    void memory_forbid(const void *start, size_t octets)

cdef enum:
    GUARD_PAGE_BYTES = 4096

cdef struct Guard:
    uint8_t *memory
    uint32_t room               # octets before the forbidden page


cdef inline void guard_open(Guard *guard, uint32_t pages) noexcept nogil:
    """For the life of the process."""
    cdef void *memory
    guard.room = pages * <uint32_t>GUARD_PAGE_BYTES
    memory = mmap(
        NULL, guard.room + GUARD_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    )
    fuzz_require(memory != MAP_FAILED, b"memory for a guard", guard.room, 0)
    guard.memory = <uint8_t *>memory
    fuzz_require(
        mprotect(guard.memory + guard.room, GUARD_PAGE_BYTES, PROT_NONE) == 0, b"a page can be forbidden", 0, 0
    )


cdef inline uint8_t *guard_room(Guard *guard, uint32_t octets) noexcept nogil:
    """The last `octets` before the forbidden page; to a sanitizer, what lies before them is forbidden too."""
    cdef uint8_t *start = guard.memory + guard.room - octets
    fuzz_require(octets <= guard.room, b"a guard has room", octets, guard.room)
    memory_allow(start, octets)
    memory_forbid(guard.memory, guard.room - octets)
    return start


cdef inline uint8_t *guard_copy(Guard *guard, const uint8_t *data, uint32_t octets) noexcept nogil:
    """A copy that ends at the forbidden page."""
    cdef uint8_t *start = guard_room(guard, octets)
    if octets:
        memcpy(start, data, octets)
    return start
