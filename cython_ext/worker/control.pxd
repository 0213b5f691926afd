"""Frames that are no TCP: from what net/control makes of them to an answer, or to a connection."""

from libc.stdint cimport uint64_t

from cython_ext.net.control cimport CONTROL_PATH_MTU, CONTROL_REPLY, ControlVerdict, PathMtu, control_input
from cython_ext.net.reply cimport Control
from cython_ext.worker.pathmtu cimport find_quoted, path_mtu_hint
from cython_ext.worker.state cimport Port, Worker
from cython_ext.worker.transmit cimport Spare, port_send


cdef inline void take_control(Worker *worker, Port *port, Spare *spare, uint64_t now_ns) noexcept nogil:
    cdef Control control
    cdef ControlVerdict verdict
    cdef PathMtu hint
    control.frame = &spare.frame
    control.local = &worker.local
    control.mac = port.mac
    control.counters = &worker.counters
    control.now_ns = now_ns
    verdict = control_input(&worker.replies, &control, &hint)
    if verdict == CONTROL_REPLY:
        spare.available = False
        port_send(worker, port, &spare.frame)
    elif verdict == CONTROL_PATH_MTU:
        path_mtu_hint(worker, find_quoted(worker, &hint), hint.mtu, hint.seq, now_ns)
