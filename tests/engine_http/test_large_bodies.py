"""Bodies that are not in memory: served from windows that somebody else fills, late, never, or wrongly.

The image is an ordinary one whose record is changed to say that the body lies elsewhere; the tests read.
"""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.site.image import SiteImage, open_image
from bypass.site.layout import RESPONSE, RESPONSE_FIELDS
from bypass.site.output import build_image_file
from tests.engine_http.client import Connection, Net
from tests.engine_http.conftest import NetMaker

WINDOW = 1 << 20
LARGE = 4
SIZE = 5 * WINDOW + 12_345
HUGE = (5 << 30) + 77

Content = Callable[[int, int], bytes]


def pattern(first: int, octets: int) -> bytes:
    """Octets [first, first + octets) of a body without end in which every 8 say where they stand."""
    start, end = first // 8, (first + octets + 7) // 8
    text = b"".join(
        (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "little") for number in range(start, end)
    )
    return text[first - start * 8 :][:octets]


class Readers:
    """Fills windows when told."""

    def __init__(self, net: Net, content: Content = pattern, size: int = SIZE) -> None:
        self.net = net
        self.content = content
        self.size = size
        self.filled: list[tuple[int, int, int]] = []

    def wanted(self) -> tuple[int, int, int, int] | None:
        return self.net.engine.next_window()

    def fill(self, wanted: tuple[int, int, int, int], *, sound: bool = True) -> None:
        window, serial, body, offset = wanted
        octets = self.content(offset, min(WINDOW, self.size - offset))
        with self.net.engine.window_memory(window) as memory:
            memory[: len(octets)] = octets
        self.net.engine.sum_window(window, len(octets))
        self.net.engine.finish_window(window, sound)
        self.filled.append((serial, body, offset))

    def fill_all(self) -> int:
        count = 0
        while wanted := self.wanted():
            self.fill(wanted)
            count += 1
        return count

    def settle(self) -> None:
        """Until nothing is wanted any more and nothing moves, also when a while has passed."""
        quiet = 0
        for _ in range(1000):
            self.net.settle()
            if self.fill_all():
                quiet = 0
                continue
            quiet += 1
            if quiet == 12:
                return
            self.net.now_ns += 10_000_000
        raise AssertionError("windows are wanted for ever")


def with_large_body(image: SiteImage, path: bytes, body_bytes: int) -> memoryview:
    """The same image with the body of one path elsewhere."""
    changed = mmap.mmap(-1, len(image.buffer))
    changed[:] = bytes(image.buffer)
    stored = image.lookup(path)
    assert stored is not None
    wanted = [getattr(stored.record, name) for name in RESPONSE_FIELDS]
    sections = image.header.sections
    for number in range(sections.responses_count):
        at = sections.responses_offset + number * RESPONSE.size
        fields = list(RESPONSE.unpack_from(changed, at))
        if fields == wanted:
            fields[RESPONSE_FIELDS.index("flags")] |= LARGE
            fields[RESPONSE_FIELDS.index("body_offset")] = 7
            fields[RESPONSE_FIELDS.index("body_bytes")] = body_bytes
            RESPONSE.pack_into(changed, at, *fields)
            return memoryview(changed)
    raise AssertionError(path)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteImage]:
    folder: Path = tmp_path_factory.mktemp("large")
    (folder / "root").mkdir()
    (folder / "root" / "big.bin").write_bytes(bytes(SIZE))
    (folder / "root" / "small.txt").write_bytes(b"small\n")
    build_image_file(folder / "root", folder / "site.img")
    with open_image(folder / "site.img") as opened:
        yield opened


@pytest.fixture
def make(make_net: NetMaker, image: SiteImage) -> Callable[..., Net]:
    def made(size: int = SIZE, windows: int = 8) -> Net:
        return make_net(image=with_large_body(image, b"/big.bin", size), windows=windows, request_buffers=64)

    return made


def get(path: str, fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()


def body_of(connection: Connection) -> bytes:
    head, _, rest = bytes(connection.received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 20"), head
    return rest


def test_a_whole_body_arrives_and_is_read_ahead(make: Callable[..., Net]) -> None:
    net = make()
    readers = Readers(net)
    connection = net.connect()
    connection.ask(get("/big.bin"))
    assert b"\r\n\r\n" not in connection.received[:-4] or not body_of(connection)
    first = readers.wanted()
    assert first is not None
    assert first[2:] == (7, 0)
    readers.fill(first)
    readers.settle()
    assert body_of(connection) == pattern(0, SIZE)
    assert [offset for _, _, offset in readers.filled] == [number * WINDOW for number in range(6)]
    assert net.counter("retransmitted") == 0


def test_others_are_served_while_one_waits(make: Callable[..., Net]) -> None:
    net = make()
    waiting = net.connect()
    waiting.ask(get("/big.bin"))
    other = net.connect()
    for _ in range(20):
        assert other.ask(get("/small.txt")).endswith(b"small\n")
    assert net.counter("body_waits") >= 1
    net.pass_time(5000)
    assert not body_of(waiting) if b"\r\n\r\n" in waiting.received else True
    Readers(net).settle()
    assert body_of(waiting) == pattern(0, SIZE)


def test_a_window_that_is_late_costs_no_retransmission_and_no_connection(make: Callable[..., Net]) -> None:
    net = make()
    readers = Readers(net)
    connection = net.connect()
    connection.ask(get("/big.bin"))
    while len(readers.filled) < 6:
        net.pass_time(1500)
        wanted = readers.wanted()
        assert wanted is not None
        readers.fill(wanted)
        net.settle()
    readers.settle()
    assert body_of(connection) == pattern(0, SIZE)
    assert net.counter("retransmission_timeouts") == 0


@pytest.mark.parametrize("first", [0, 1, 63, WINDOW - 1, WINDOW - 700, 3 * WINDOW + 5, SIZE - 10])
def test_ranges_across_windows(make: Callable[..., Net], first: int) -> None:
    net = make()
    readers = Readers(net)
    connection = net.connect()
    last = min(first + 100_000, SIZE - 1)
    connection.ask(get("/big.bin", f"Range: bytes={first}-{last}\r\n"))
    readers.settle()
    assert body_of(connection) == pattern(first, last + 1 - first)


def test_offsets_beyond_four_gib(make: Callable[..., Net]) -> None:
    net = make(HUGE)
    readers = Readers(net, size=HUGE)
    connection = net.connect()
    for first in ((4 << 30) - 1000, (4 << 30) + 12345, HUGE - 3000):
        connection.received.clear()
        connection = net.connect()
        last = min(first + 50_000, HUGE - 1)
        connection.ask(get("/big.bin", f"Range: bytes={first}-{last}\r\n"))
        readers.settle()
        assert body_of(connection) == pattern(first, last + 1 - first)
        assert b"Content-Range: bytes %d-%d/%d\r\n" % (first, last, HUGE) in connection.received


def test_several_ranges_in_one_answer(make: Callable[..., Net]) -> None:
    net = make()
    readers = Readers(net)
    connection = net.connect()
    connection.ask(get("/big.bin", f"Range: bytes=0-99,{2 * WINDOW - 50}-{2 * WINDOW + 49},-20\r\n"))
    readers.settle()
    assert bytes(connection.received).startswith(b"HTTP/1.1 206 ")
    for part in (pattern(0, 100), pattern(2 * WINDOW - 50, 100), pattern(SIZE - 20, 20)):
        assert b"\r\n\r\n" + part + b"\r\n--" in connection.received


def test_fewer_windows_than_readers_of_different_places(make: Callable[..., Net]) -> None:
    """Every connection wants another place, and there are four windows: all are served, in their turn."""
    net = make(HUGE, windows=4)
    readers = Readers(net, size=HUGE)
    connections = [net.connect() for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.send(
            get("/big.bin", f"Range: bytes={number * 200 * WINDOW}-{number * 200 * WINDOW + 2000}\r\n")
        )
    readers.settle()
    for number, connection in enumerate(connections):
        assert body_of(connection) == pattern(number * 200 * WINDOW, 2001)


def test_a_body_that_cannot_be_read_ends_its_connections_alone(make: Callable[..., Net]) -> None:
    net = make()
    readers = Readers(net)
    broken, other = net.connect(), net.connect()
    broken.ask(get("/big.bin"))
    for _ in range(5):
        while wanted := readers.wanted():
            readers.fill(wanted, sound=wanted[3] == 0)
        net.pass_time(50)
    assert broken.peer_reset
    assert body_of(broken) == pattern(0, len(body_of(broken)))
    assert net.counter("body_failed") == 1
    assert other.ask(get("/small.txt")).endswith(b"small\n")
    again = net.connect()
    again.ask(get("/big.bin"))
    readers.settle()
    assert body_of(again) == pattern(0, SIZE)


def test_all_who_wait_for_what_cannot_be_read_hear_of_one_attempt(make: Callable[..., Net]) -> None:
    """Else each would have it read again, one after another, from a disk that takes its time to fail."""
    net = make()
    readers = Readers(net)
    waiting = [net.connect() for _ in range(30)]
    for one in waiting:
        one.ask(get("/big.bin", "Range: bytes=5-9\r\n"))
    for _ in range(20):
        if wanted := readers.wanted():
            readers.fill(wanted, sound=False)
        net.pass_time(10)
    assert all(one.peer_reset for one in waiting)
    assert readers.filled.count((0, 7, 0)) == 1
    again = net.connect()
    again.ask(get("/big.bin", "Range: bytes=5-9\r\n"))
    readers.settle()
    assert body_of(again) == pattern(5, 5)


def test_what_is_sent_again_is_read_again_when_its_window_was_given_up(make: Callable[..., Net]) -> None:
    net = make(HUGE, windows=4)
    readers = Readers(net, size=HUGE)
    lost = net.connect(auto_ack=False)
    lost.ask(get("/big.bin", "Range: bytes=100-9999\r\n"))
    readers.settle()
    for number in range(1, 12):
        net.connect().ask(
            get("/big.bin", f"Range: bytes={number * 100 * WINDOW}-{number * 100 * WINDOW + 9}\r\n")
        )
        readers.settle()
    for _ in range(30):
        net.pass_time(500)
        readers.settle()
    assert net.counter("retransmitted") > 0
    assert readers.filled.count((0, 7, 0)) >= 2
    while lost.acked < len(lost.received):
        lost.ack()
        readers.settle()
    assert body_of(lost) == pattern(100, 9900)


def test_windows_of_an_old_image_are_not_taken_for_those_of_the_new(
    make: Callable[..., Net], image: SiteImage
) -> None:
    net = make()
    readers = Readers(net)
    first = net.connect()
    first.ask(get("/big.bin", "Range: bytes=0-999\r\n"))
    readers.settle()
    assert net.engine.offer_image(with_large_body(image, b"/big.bin", SIZE))
    assert net.engine.image_serial == 1
    readers.content = lambda offset, octets: bytes(255 - octet for octet in pattern(offset, octets))
    second = net.connect()
    second.ask(get("/big.bin", "Range: bytes=0-999\r\n"))
    readers.settle()
    assert body_of(second) == bytes(255 - octet for octet in pattern(0, 1000))
    assert net.engine.images_held() == 1
    assert net.engine.image_serials() == {1}


@pytest.mark.parametrize("seed", range(4))
def test_readers_that_answer_late_and_in_any_order_mix_nothing(make: Callable[..., Net], seed: int) -> None:
    chance = random.Random(seed)
    net = make(HUGE, windows=5)
    readers = Readers(net, size=HUGE)
    asked: list[tuple[Connection, int, int]] = []
    pending: list[tuple[int, int, int, int]] = []
    for _ in range(400):
        if len(asked) < 30 and chance.random() < 0.3:
            first = chance.choice([0, 1, 4096, 2]) * WINDOW + chance.randrange(WINDOW)
            octets = chance.randrange(1, 60_000)
            connection = net.connect_unsettled()
            connection.send(get("/big.bin", f"Range: bytes={first}-{first + octets - 1}\r\n"))
            asked.append((connection, first, octets))
        if wanted := readers.wanted():
            pending.append(wanted)
        if pending and chance.random() < 0.4:
            readers.fill(pending.pop(chance.randrange(len(pending))), sound=chance.random() < 0.95)
        net.settle_bounded(3)
    for wanted in pending:
        readers.fill(wanted)
    readers.settle()
    net.pass_time(100)
    whole = 0
    for connection, first, octets in asked:
        if not connection.peer_reset:
            assert body_of(connection) == pattern(first, octets)
            whole += 1
    assert whole > len(asked) // 2
    assert len(asked) - whole <= net.counter("body_failed")


def test_an_engine_without_windows_wants_none(make_net: NetMaker) -> None:
    assert make_net().engine.next_window() is None


def test_a_window_that_nobody_wants_cannot_be_written(make: Callable[..., Net]) -> None:
    net = make()
    with pytest.raises(ValueError, match="not to be filled"):
        net.engine.window_memory(0)
    with pytest.raises(ValueError, match="no window"):
        net.engine.finish_window(99, True)


def test_too_few_windows_are_refused(make: Callable[..., Net]) -> None:
    with pytest.raises(ValueError, match="windows"):
        make(windows=3)
