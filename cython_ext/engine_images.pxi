"""Part of engine.pyx: the images that the worker serves, or still sends responses of."""


cdef class _Images:
    """The images that a worker may look at, by generation: kept mapped until it no longer does."""

    cdef Worker *_worker
    cdef list _held
    cdef readonly uint32_t serial

    def __cinit__(self, const uint8_t[::1] first not None):
        self._held = [None] * GENERATIONS_MOST
        self._held[0] = first

    def release(self):
        """Lets go of those that no response is made from any more; returns how many are left."""
        cdef uint32_t i
        for i in range(<uint32_t>GENERATIONS_MOST):
            if self._held[i] is not None and generation_is_free(self._worker, i):
                self._held[i] = None
        return sum(image is not None for image in self._held)

    def offer(self, const uint8_t[::1] image not None):
        """Has the worker serve `image` from its next turn on; False while there is no place for it."""
        cdef uint32_t number
        _check_image(image)
        self.release()
        if self.offered != self.serving or None not in self._held:
            return False
        number = self._held.index(None)
        self._held[number] = image
        self.serial += 1
        store_open(&self._worker.service.stores[number], &image[0])
        self._worker.service.stores[number].serial = self.serial
        atomic_store_u32(&self._worker.offered, number)
        return True

    def serials(self):
        """Of the images that are held."""
        return {
            self._worker.service.stores[i].serial for i in range(GENERATIONS_MOST) if self._held[i] is not None
        }

    @property
    def offered(self):
        return self._worker.offered

    @property
    def serving(self):
        return atomic_load_u32(&self._worker.serving)
