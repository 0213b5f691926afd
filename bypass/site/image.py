"""An image as the rest of the control plane sees it: opened, checked, mapped read-only."""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bypass.errors import SiteError
from bypass.site.index import find
from bypass.site.layout import (
    EMPTY_SLOT,
    HOST,
    KEY_HOST,
    KEY_WILD_HOST,
    MAGIC,
    NONE,
    RESOURCE,
    RESPONSE,
    RESPONSE_LARGE,
    SLOT,
    ErrorSlot,
    HostRecord,
    ResourceRecord,
    ResponseRecord,
    host_from,
    sums_of,
)
from bypass.site.pages import copy_to_huge_pages
from bypass.site.sections import Header
from bypass.site.validate import check_image

if TYPE_CHECKING:
    from bypass.site.outside import Bodies


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response. head lacks the empty line and has zero octets for a date; body and sums are views, of
    nothing where the body is a large one that is not in the image; one in the response's card has no sums."""

    record: ResponseRecord
    head: bytes
    body: memoryview
    sums: memoryview

    @property
    def status(self) -> int:
        return self.record.status


class SiteImage:
    """A checked image. `buffer` is the whole of it, for the engine; it is valid until close(). large: where
    its large bodies are, when they are not in the buffer; whoever serves it closes them."""

    def __init__(self, buffer: memoryview, header: Header) -> None:
        self.buffer = buffer
        self.header = header
        self.large: Bodies | None = None
        lie = header.sections
        self._slots = buffer[lie.span("slots_count")]
        self._paths = buffer[lie.span("paths_bytes")]
        self.hosts = [host_from(fields) for fields in HOST.iter_unpack(buffer[lie.span("hosts_count")])]

    @property
    def files(self) -> int:
        return self.header.files

    @property
    def image_bytes(self) -> int:
        return self.header.sections.image_bytes

    def __len__(self) -> int:
        """How many paths answer, of all hosts together."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[tuple[bytes, StoredResponse]]:
        """Every path (raw octets) of every host with its response, in no useful order. Of several
        representations it is the first."""
        for host in self.hosts:
            for _, response, offset, size in SLOT.iter_unpack(self._index(host)):
                if response == EMPTY_SLOT:
                    continue
                if offset == NONE:
                    yield self._card_key(response), self.response(response)
                elif self._paths[offset] == ord("/"):
                    yield bytes(self._paths[offset : offset + size]), self.response(response)

    def lookup(self, path: bytes, host: HostRecord | None = None) -> StoredResponse | None:
        """The response for an absolute, percent-decoded path, found the way the data plane finds it; its
        first representation. host: default: the default host, or the first."""
        default = 0 if self.header.default_host == NONE else self.header.default_host
        index = self._index(host or self.hosts[default])
        number = find(index, self._paths, self.header.max_probe, path, self._card_key)
        return None if number is None else self.response(number)

    def host(self, name: str) -> HostRecord | None:
        """Who answers for a name: itself, with its first label as a star, or the default host."""
        first = self.header.names_first * SLOT.size
        names = self._slots[first : first + self.header.names_count * SLOT.size]
        text = name.lower().encode("ascii")
        for key in (KEY_HOST + text, KEY_WILD_HOST + b"." + text.partition(b".")[2]):
            number = find(names, self._paths, self.header.max_probe, key) if len(names) else None
            if number is not None:
                return self.hosts[number]
        return None if self.header.default_host == NONE else self.hosts[self.header.default_host]

    def representations(self, stored: StoredResponse) -> list[StoredResponse]:
        """All that the resource has which `stored` is one of."""
        if stored.record.resource == NONE:
            return [stored]
        first = self.header.sections.offset("resources_count") + stored.record.resource * RESOURCE.size
        about = ResourceRecord(*RESOURCE.unpack_from(self.buffer, first))
        return [self.response(number) for number in range(about.first, about.first + about.count)]

    def error(self, slot: ErrorSlot) -> StoredResponse:
        return self.response(self.header.errors[slot])

    def _index(self, host: HostRecord) -> memoryview:
        first = host.slots_first * SLOT.size
        return self._slots[first : first + host.slots_count * SLOT.size]

    def response(self, number: int) -> StoredResponse:
        """Response `number`. Raises IndexError."""
        lie = self.header.sections
        if not 0 <= number < lie.responses_count:
            raise IndexError(number)
        record = ResponseRecord(
            *RESPONSE.unpack_from(self.buffer, lie.responses_offset + number * RESPONSE.size)
        )
        front = lie.heads_offset + record.front_offset
        sums = lie.sums_offset + 2 * record.sums_first
        inside = not record.flags & RESPONSE_LARGE
        start, octets = (record.body_offset, record.body_bytes) if inside else (0, 0)
        summed = inside and start >= lie.bodies_offset
        return StoredResponse(
            record,
            head=bytes(self.buffer[front : front + record.front_bytes]) + record.own,
            body=self.buffer[start : start + octets],
            sums=self.buffer[sums : sums + 2 * sums_of(octets) * summed].cast("H"),
        )

    def _card_key(self, number: int) -> bytes:
        return self.response(number).record.key

    def close(self) -> None:
        """Lets go of the mapping; it goes away with the last view of it, such as an engine's."""
        for view in (self._slots, self._paths, self.buffer):
            with contextlib.suppress(BufferError):  # still exported, to the engine
                view.release()

    def __enter__(self) -> SiteImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_image(
    source: Path | int, name: str = "", *, made_here: bool = False, huge: bool = False
) -> SiteImage:
    """Maps and checks an image file, or a descriptor of one (which stays open and may be closed).

    name: what errors call it. made_here: by this program, in sealed memory, so that it need not be checked.
    huge: to be served: a descriptor's image is copied into huge pages where that pays.
    Raises SiteError that says what is wrong.
    """
    name = name or (f"descriptor {source}" if isinstance(source, int) else str(source))
    copied = copy_to_huge_pages(source) if huge and isinstance(source, int) else None
    buffer = memoryview(_map(source, name)) if copied is None else copied
    return SiteImage(buffer, check_image(name, buffer, made_here=made_here))


def is_image(path: Path) -> bool:
    """Whether `path` is a file that starts as an image does; open_image() may still refuse it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _map(source: Path | int, name: str) -> mmap.mmap:
    try:
        if isinstance(source, int):
            return mmap.mmap(source, 0, access=mmap.ACCESS_READ)
        with open(source, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise SiteError(
            f"{name}: no such file", remedy="Name an existing folder or an image made by 'bypass build'."
        ) from None
    except ValueError:  # mmap's word for an empty file
        raise SiteError(f"{name}: not a usable image", why="the file is empty") from None
    except OSError as error:
        raise SiteError(f"{name}: cannot be read", why=error.strerror or type(error).__name__) from None
