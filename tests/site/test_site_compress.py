"""Compressed forms unfold to the same, are the same each time, and are kept only where they are smaller."""

from __future__ import annotations

import gzip
import random

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bypass.site.files.compress import (
    CODINGS,
    compress,
    decoded_digest,
    is_compressible,
    is_worth_trying,
    level,
)
from bypass.site.rules.settings import Compression

SETTINGS = Compression()
TEXT = b"".join(b"line %d of a text that repeats itself\n" % (n % 97) for n in range(2000))
UNPACK = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda packed: zstandard.ZstdDecompressor().decompress(packed),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_form_unfolds_to_the_content_and_is_the_same_each_time(coding: str) -> None:
    packed = compress(coding, TEXT, SETTINGS)
    assert packed is not None
    assert UNPACK[coding](packed) == TEXT
    assert compress(coding, TEXT, SETTINGS) == packed
    assert len(packed) < len(TEXT) / 10


@pytest.mark.parametrize("coding", CODINGS)
def test_what_saves_too_little_is_not_kept(coding: str) -> None:
    noise = random.Random(1).randbytes(5000)
    assert compress(coding, noise, SETTINGS) is None
    half = noise[:2500] + bytes(2500)
    assert compress(coding, half, Compression(minimum_gain=0.4)) is not None
    assert compress(coding, half, Compression(minimum_gain=0.6)) is None
    assert compress(coding, b"", Compression(minimum_gain=0.0)) is None


def test_gzip_says_neither_a_time_nor_a_name() -> None:
    packed = compress("gzip", TEXT, SETTINGS)
    assert packed is not None
    assert packed[3] == 0
    assert packed[4:8] == bytes(4)


def test_large_content_is_packed_at_lower_levels_and_small_at_those_that_are_set() -> None:
    sizes = (1000, 1 << 20, (1 << 20) + 1, 17 << 20)
    assert [level("br", size, SETTINGS) for size in sizes] == [11, 11, 9, 5]
    assert [level("br", size, Compression(brotli_level=4)) for size in sizes] == [4, 4, 4, 4]


def test_the_window_of_zstd_is_one_that_browsers_accept() -> None:
    """RFC 9659: at most 8 MiB."""
    packed = compress("zstd", bytes(40 << 20), Compression(zstd_level=22))
    assert packed is not None
    assert zstandard.get_frame_parameters(packed).window_size <= 8 << 20


@given(st.binary(max_size=3000), st.sampled_from(CODINGS), st.integers(1, 700))
def test_any_content_comes_back_however_it_is_cut(content: bytes, coding: str, step: int) -> None:
    packed = compress(coding, content * 3, Compression(minimum_gain=0.0))
    if packed is None:
        return
    pieces = (packed[start : start + step] for start in range(0, len(packed), step))
    assert decoded_digest(coding, pieces, 9000)[1] == 3 * len(content)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_damaged_cut_or_followed_by_something_is_refused(coding: str) -> None:
    packed = compress(coding, TEXT, SETTINGS)
    assert packed is not None
    for wrong in (packed[:-1], packed[: len(packed) // 2], packed + b"x", b"no" + packed, TEXT):
        with pytest.raises(ValueError, match=r"."):
            decoded_digest(coding, iter([wrong]), 1 << 20)
    with pytest.raises(ValueError, match="more than"):
        decoded_digest(coding, iter([packed]), len(TEXT) - 1)


def test_members_one_after_another_are_one_body() -> None:
    """RFC 1952 2.2, RFC 8878 3."""
    assert decoded_digest("gzip", iter([gzip.compress(TEXT) * 2]), 1 << 20)[1] == 2 * len(TEXT)
    frames = zstandard.ZstdCompressor().compress(TEXT) * 2
    assert decoded_digest("zstd", iter([frames]), 1 << 20)[1] == 2 * len(TEXT)


def test_only_types_that_are_worth_it_are_tried() -> None:
    assert is_compressible("text/html; charset=utf-8", SETTINGS)
    assert is_compressible("application/geo+json", SETTINGS)
    assert not is_compressible("image/png", SETTINGS)
    assert not is_compressible("font/woff2", SETTINGS)
    assert is_worth_trying("text/css", 256, SETTINGS)
    assert not is_worth_trying("text/css", 255, SETTINGS)
    assert not is_worth_trying("text/css", (256 << 20) + 1, SETTINGS)
