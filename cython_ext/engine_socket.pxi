"""Part of engine.pyx: the AF_XDP socket as Python sees it."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memset

from cython_ext.driver.af_xdp cimport (
    AF_XDP_AUTO, AF_XDP_COPY, AF_XDP_ZERO_COPY, AfXdpConfig, af_xdp_close, af_xdp_open,
    af_xdp_statistics, af_xdp_verify_busy_poll,
)
from cython_ext.driver.af_xdp_path cimport (
    AF_XDP_STAGE_BIND, AF_XDP_STAGE_MEMORY, AF_XDP_STAGE_OPTIONS, AF_XDP_STAGE_RINGS, AF_XDP_STAGE_SOCKET,
    AF_XDP_STAGE_UMEM, AfXdp,
)
from cython_ext.driver.xdp_abi cimport XskStatistics

_STAGES = {
    <int>AF_XDP_STAGE_MEMORY: "memory",
    <int>AF_XDP_STAGE_SOCKET: "socket",
    <int>AF_XDP_STAGE_UMEM: "umem",
    <int>AF_XDP_STAGE_RINGS: "rings",
    <int>AF_XDP_STAGE_BIND: "bind",
    <int>AF_XDP_STAGE_OPTIONS: "options",
}


cdef class XdpSocket:
    """One bound AF_XDP socket with its own UMEM (see _engine.pyi)."""

    cdef AfXdp _socket
    cdef readonly uint32_t queue

    def __cinit__(self):
        memset(&self._socket, 0, sizeof(AfXdp))
        self._socket.fd = -1

    def __init__(
        self, *, uint32_t ifindex, uint32_t queue, uint32_t rx_frames, uint32_t tx_frames,
        uint32_t frame_bytes, zero_copy=None, uint32_t busy_poll_us=0,
    ):
        cdef AfXdpConfig config
        cdef int32_t result
        if self._socket.fd >= 0:
            raise RuntimeError("the socket is open already")
        config.ifindex = ifindex
        config.queue = queue
        config.rx_frames = rx_frames
        config.tx_frames = tx_frames
        config.frame_bytes = frame_bytes
        config.busy_poll_us = busy_poll_us
        config.mode = AF_XDP_AUTO if zero_copy is None else AF_XDP_ZERO_COPY if zero_copy else AF_XDP_COPY
        self.queue = queue
        with nogil:
            result = af_xdp_open(&self._socket, &config)
        if result != 0:
            raise OSError(-result, os.strerror(-result), _STAGES.get(<int>self._socket.failed_stage, "open"))

    def __dealloc__(self):
        af_xdp_close(&self._socket)

    @property
    def fd(self):
        return self._socket.fd

    @property
    def zero_copy(self):
        return bool(self._socket.zero_copy)

    @property
    def busy_poll(self):
        return "preferred" if self._socket.prefer_busy_poll else "plain" if self._socket.busy_poll else "no"

    def verify_busy_poll(self, const uint8_t[::1] frame not None, *, uint32_t repeats, uint32_t timeout_ms):
        cdef uint32_t size = <uint32_t>frame.shape[0]
        return bool(size and af_xdp_verify_busy_poll(&self._socket, &frame[0], size, repeats, timeout_ms))

    def statistics(self):
        cdef XskStatistics kernel
        cdef int32_t result = af_xdp_statistics(&self._socket, &kernel)
        if result != 0:
            raise OSError(-result, os.strerror(-result), "statistics")
        return {**kernel, **self._socket.stats}

    def close(self):
        """Sends what is queued and releases everything; an engine must not run on it any more."""
        with nogil:
            af_xdp_close(&self._socket)
