"""A frame: one packet buffer that belongs to a driver.

Ownership is a named state. A frame is in exactly one place at a time:

    FREE        in one of the driver's two pools (RX pool or TX pool)
    FILL        lent to the kernel or NIC to receive into
    RX, APP     received and handed to the worker by rx_burst
    TX          submitted; not to be written until it comes back
    COMPLETION  sent, on its way back to the pool it came from

A received frame may be turned around and submitted: on completion it returns to the pool
it came from, so the two pools never mix.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef struct Frame:
    uint8_t *data       # first octet of the Ethernet header
    uint32_t bytes      # octets from there on, without FCS
    uint32_t index      # number of the frame within its driver's memory
