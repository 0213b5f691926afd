"""Part of engine.pyx: the windows on large bodies, as seen by the threads that fill them."""

from cython_ext.content.window cimport (
    WINDOW_BYTES, WINDOW_WANTED, WINDOWS_LEAST, Window, Windows, window_finish, window_sum_up,
    windows_next_wanted,
)


cdef class _Windows:
    """Used under a lock of the threads' own but for fill_sums(), which is the work."""

    cdef Worker *_worker

    def next_wanted(self):
        """(window, serial of the image, number of the body, offset in the body) or None."""
        cdef const Window *window
        cdef uint32_t number = NIL
        if self._worker.service.windows.count:
            number = windows_next_wanted(&self._worker.service.windows)
        if number == NIL:
            return None
        window = &self._worker.service.windows.windows[number]
        return number, window.serial, window.body, <uint64_t>window.index * WINDOW_BYTES

    def memory(self, uint32_t number):
        cdef Windows *windows = &self._worker.service.windows
        if number >= windows.count or windows.windows[number].state != WINDOW_WANTED:
            raise ValueError(f"window {number} is not to be filled")
        return memoryview(<uint8_t[:WINDOW_BYTES]>(windows.memory + <size_t>number * WINDOW_BYTES))

    def fill_sums(self, uint32_t number, uint32_t octets):
        if number >= self._worker.service.windows.count or octets > WINDOW_BYTES:
            raise ValueError(f"window {number} has no {octets} octets")
        with nogil:
            window_sum_up(&self._worker.service.windows, number, octets)

    def finish(self, uint32_t number, bint sound):
        if number >= self._worker.service.windows.count:
            raise ValueError(f"no window {number}")
        window_finish(&self._worker.service.windows, number, sound)
