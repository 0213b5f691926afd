"""Breaches on purpose: proof that a build sees what the fuzzer looks for. Each must end the process."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.memory cimport MemoryDriver, memory_driver, memory_inject, memory_open

cdef enum Breach:
    BREACH_READ_BEHIND_FRAME
    BREACH_WRITE_AFTER_SUBMIT
    BREACH_RECYCLE_TWICE
    BREACH_READ_BEHIND_TEXT
    BREACH_HANG


cdef inline uint32_t breach_of_frame(uint32_t kind) noexcept nogil:
    """One frame of 61 octets through the memory driver."""
    cdef MemoryDriver memory
    cdef Driver driver
    cdef Frame frame
    cdef uint8_t octets[61]
    octets[60] = 1
    memory_open(&memory, 4, 4, 2048)
    memory_driver(&memory, &driver)
    memory_inject(&memory, octets, 61)
    memory_inject(&memory, octets, 61)
    driver.rx_burst(driver.state, &frame, 1)
    if kind == BREACH_READ_BEHIND_FRAME:
        return frame.data[61]
    if kind == BREACH_WRITE_AFTER_SUBMIT:
        driver.tx_burst(driver.state, &frame, 1)
        frame.data[0] = 1
    driver.recycle(driver.state, &frame, 1)
    driver.recycle(driver.state, &frame, 1)
    return 0


cdef inline uint32_t breach_of_text() noexcept nogil:
    cdef volatile uint32_t octets = 13         # not for the compiler to know
    cdef uint8_t *text = <uint8_t *>malloc(octets)
    cdef uint32_t found = text[octets]
    free(text)
    return found


cdef inline uint32_t breach(uint32_t kind) noexcept nogil:
    cdef volatile uint32_t turns = 0
    if kind == BREACH_READ_BEHIND_TEXT:
        return breach_of_text()
    while kind == BREACH_HANG:
        turns += 1
    return breach_of_frame(kind)
