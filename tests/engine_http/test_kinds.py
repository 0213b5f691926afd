"""What the benchmark calls a kind of request is answered as it says, by one and the same engine."""

from __future__ import annotations

import pytest

from bypass.bench.files import requests_for, small_files
from bypass.bench.kinds import Kind, described, kinds
from tests.engine_http.client import Net
from tests.engine_http.described import taken_apart
from tests.engine_http.reference import WALL_S


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
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
