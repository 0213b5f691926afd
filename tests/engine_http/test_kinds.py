"""What the benchmark calls a kind of request is answered as it says, by one and the same engine."""

from __future__ import annotations

import pytest

from bypass._bench import Bench
from bypass.bench.files import requests_for, small_files
from bypass.bench.kinds import Kind, described, kinds
from bypass.site.layout import RESPONSE_LARGE
from tests.engine_http.client import Net
from tests.engine_http.described import taken_apart
from tests.engine_http.reference import WALL_S

SMALL = [kind for kind in kinds() if not kind.windows]


@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.name)
def test_every_kind_of_the_benchmark_draws_its_status_and_stays_open(kind: Kind) -> None:
    with described(kind.site) as image:
        net = Net(image.buffer, wall_s=WALL_S)
        connection = net.connect()
        request = kind.request(image)
        first = connection.ask(request)
        answer = taken_apart(first, kind.method)
        assert answer.status == kind.status
        assert answer.get("Connection") is None
        assert connection.ask(request) == first
        del net, connection


def test_the_walk_over_many_files_finds_each_of_them() -> None:
    with described(small_files(3000)) as image:
        net = Net(image.buffer, wall_s=WALL_S)
        requests, count = requests_for(3000)
        size = len(requests) // count
        connection = net.connect()
        bodies = set()
        for number in range(400):
            request = requests[number * size : (number + 1) * size]
            answer = taken_apart(connection.ask(request))
            assert answer.status == 200
            assert answer.body[:8] == request[11:19]  # of /d000/f00000000
            bodies.add(answer.body)
        assert len(bodies) > 300
        del net, connection


def test_a_gigabyte_is_sent_whole_from_a_few_windows() -> None:
    """The benchmark's clients count every octet and refuse one that comes twice or out of order."""
    (kind,) = [kind for kind in kinds() if kind.windows]
    with described(kind.site) as image:
        page = image.lookup(b"/page")
        assert page is not None and page.record.flags & RESPONSE_LARGE
        bench = Bench(image.buffer, kind.connections, windows=8)
        bench.open()
        ns, octets = bench.ask(kind.request(image), 1)
        assert octets == 10**9 + len(page.head) + 2
        assert bench.frames_lost == 0
        print(f"1 GB: {ns / 1e6:.0f} ms of the engine")
        del bench
