"""Part of engine.pyx: hashes and sums that the site compiler asks for."""


def image_hash(const uint8_t[::1] data not None) -> int:
    """The 64-bit hash of a path or of an image's content (abi/image.h)."""
    cdef uint64_t value
    cdef uint64_t size = data.shape[0]
    with nogil:
        value = precompute.image_hash(&data[0] if size else NULL, size)
    return value


def image_checksum(const uint8_t[::1] header not None, const uint8_t[::1] content not None) -> int:
    """What an image's header says of it (abi/image.h): of the header itself, its checksum being taken for 0,
    and of all that follows it."""
    if header.shape[0] != sizeof(image_header):
        raise ValueError(f"a header has {sizeof(image_header)} octets, not {header.shape[0]}")
    cdef uint64_t value
    cdef uint64_t size = content.shape[0]
    with nogil:
        value = precompute.image_checksum(&header[0], &content[0] if size else NULL, size)
    return value


def folded_sum(const uint8_t[::1] data not None) -> int:
    """The folded Internet sum of `data` as a native 16-bit number, not inverted."""
    cdef uint64_t size = data.shape[0]
    return checksum.sum_octets(&data[0], size) if size else 0


def body_sums(const uint8_t[::1] body not None, uint16_t[::1] sums not None) -> None:
    """Fills `sums` with the prefix sums of `body`: len(body) // 64 + 1 of them."""
    cdef uint64_t size = body.shape[0]
    if <uint64_t>sums.shape[0] != size // precompute.IMAGE_SUM_STEP + 1:
        raise ValueError(
            f"{size} octets need {size // precompute.IMAGE_SUM_STEP + 1} sums, not {sums.shape[0]}"
        )
    with nogil:
        precompute.body_sums(&body[0] if size else NULL, size, &sums[0])
