"""Turns on the real clock: spins or sleeps between them, and stops when told or when a driver dies."""

from libc.errno cimport ENETDOWN
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from posix.unistd cimport read
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from cython_ext.base.counters cimport C_WORKER_SLEEPS, count
from cython_ext.tcp.conn cimport tick_of
from cython_ext.tcp.timers cimport wheel_idle_ticks
from cython_ext.worker.loop cimport worker_turn
from cython_ext.worker.state cimport PORTS_MOST, Worker, atomic_load_u32, worker_publish

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    enum:
        POLLIN
        POLLERR
        POLLHUP
        POLLNVAL


cdef inline uint64_t clock_ns(int which) noexcept nogil:
    cdef timespec now
    clock_gettime(which, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


cdef inline void worker_sleep(Worker *worker, int sleep_ms) noexcept nogil:
    """Until a frame arrives, a timer falls due, another thread wakes us, or `sleep_ms` have passed."""
    cdef pollfd fds[PORTS_MOST + 1]
    cdef uint64_t woken
    cdef uint32_t i
    cdef int timeout_ms = <int>wheel_idle_ticks(&worker.wheel, <uint32_t>sleep_ms)
    if worker.listed_head != worker.listed_tail or timeout_ms == 0:
        return
    for i in range(worker.port_count):
        fds[i].fd = -1 if worker.ports[i].fault else worker.ports[i].driver.fd
        fds[i].events = POLLIN
    fds[worker.port_count].fd = worker.wake_fd
    fds[worker.port_count].events = POLLIN
    count(&worker.counters, C_WORKER_SLEEPS)
    if poll(fds, worker.port_count + 1, timeout_ms) <= 0:
        return
    if fds[worker.port_count].revents & POLLIN:
        read(worker.wake_fd, &woken, sizeof(woken))
    for i in range(worker.port_count):
        if fds[i].revents & (POLLERR | POLLHUP | POLLNVAL) and worker.ports[i].fault == 0:
            worker.ports[i].fault = -ENETDOWN       # the interface went away; poll would spin on it


cdef inline int32_t worker_fault(const Worker *worker) noexcept nogil:
    """0, or the -errno of a driver that died: a queue that nobody serves is no server."""
    cdef uint32_t i
    for i in range(worker.port_count):
        if worker.ports[i].fault:
            return worker.ports[i].fault
    return 0


cdef inline int worker_run(Worker *worker, int64_t spin_ns, int sleep_ms) noexcept nogil:
    """Turns until told to stop. 0, or -errno when a driver died. spin_ns: how long to go on without
    frames before sleeping; negative: for ever."""
    cdef uint64_t now_ns = clock_ns(CLOCK_MONOTONIC)
    cdef uint64_t last_ns = now_ns
    cdef uint64_t wall_checked_ns = 0
    if worker.wheel.listed == 0:
        worker.wheel.now = tick_of(now_ns)
    while not atomic_load_u32(&worker.stop):
        now_ns = clock_ns(CLOCK_MONOTONIC)
        if now_ns - wall_checked_ns > 1000000000:
            worker.config.wall_offset_ns = <int64_t>(clock_ns(CLOCK_REALTIME) - now_ns)
            wall_checked_ns = now_ns
        if worker_turn(worker, now_ns):
            last_ns = now_ns
        if worker_fault(worker):
            return worker_fault(worker)
        if spin_ns >= 0 and now_ns - last_ns > <uint64_t>spin_ns:
            worker_publish(worker, now_ns)
            worker_sleep(worker, sleep_ms)
    worker_publish(worker, now_ns)
    return 0
