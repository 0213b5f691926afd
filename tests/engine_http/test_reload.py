"""A new image takes the place of the old between two requests; what has begun is finished from the old."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.site.image import SiteImage
from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.versions import body, image_of, version_of

GENERATIONS_MOST = 8


def get(path: str, fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SiteImage]]:
    folder: Path = tmp_path_factory.mktemp("versions")
    made = [image_of(folder, version) for version in range(GENERATIONS_MOST + 2)]
    yield made
    for image in made:
        image.close()


@pytest.fixture
def net(make_net: NetMaker, images: list[SiteImage]) -> Net:
    return make_net(image=images[0].buffer)


def content(answer: bytes) -> bytes:
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 20")
    return rest


def test_the_next_request_is_answered_from_the_new_image(net: Net, images: list[SiteImage]) -> None:
    connection = net.connect()
    assert version_of(content(connection.ask(get("/small.txt")))) == 0
    assert net.engine.offer_image(images[1].buffer)
    assert not net.engine.image_taken
    assert version_of(content(connection.ask(get("/small.txt")))) == 1
    assert net.engine.image_taken
    assert net.engine.images_held() == 1
    assert version_of(content(net.connect().ask(get("/")))) == 1


def test_a_transfer_under_way_is_finished_from_the_old_one(net: Net, images: list[SiteImage]) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/big.bin"))
    assert net.engine.offer_image(images[1].buffer)
    net.turn()
    other = net.connect()
    assert version_of(content(other.ask(get("/big.bin")))) == 1
    assert net.engine.images_held() == 2
    while connection.acked < len(connection.received):
        connection.ack()
    assert content(bytes(connection.received)) == body(0, len(content(bytes(connection.received))))
    net.pass_time(10)
    assert net.engine.images_held() == 1


def test_what_is_sent_again_comes_from_the_image_it_came_from_first(
    net: Net, images: list[SiteImage]
) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/big.bin"))
    before = net.counter("retransmitted")
    assert net.engine.offer_image(images[1].buffer)
    net.pass_time(3000)  # the client compares every octet that it gets a second time
    assert net.counter("retransmitted") > before
    assert net.engine.images_held() == 2
    while connection.acked < len(connection.received):
        connection.ack()
    assert version_of(content(bytes(connection.received))) == 0


def test_pipelined_responses_are_each_of_one_version(net: Net, images: list[SiteImage]) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/small.txt") * 10)
    assert net.engine.offer_image(images[1].buffer)
    net.turn()
    connection.send(get("/small.txt") * 10)
    net.settle()
    while connection.acked < len(connection.received):
        connection.ack()
    bodies = [content(b"HTTP/1.1 20" + part) for part in bytes(connection.received).split(b"HTTP/1.1 20")[1:]]
    assert [version_of(one) for one in bodies] == [0] * 10 + [1] * 10


def test_ranges_and_late_bodies_stay_with_the_image_they_were_chosen_from(
    net: Net, images: list[SiteImage]
) -> None:
    partial = net.connect(auto_ack=False)
    partial.ask(get("/big.bin", "Range: bytes=70000-139999\r\n"))
    posted = net.connect()
    assert posted.ask(get("/small.txt", "Content-Length: 4\r\n")) == b""
    assert net.engine.offer_image(images[1].buffer)
    net.turn()
    assert version_of(content(posted.ask(b"body"))) == 0
    while partial.acked < len(partial.received):
        partial.ack()
    assert content(bytes(partial.received)) == body(0, 140_000)[70_000:]
    assert version_of(content(posted.ask(get("/small.txt")))) == 1


def test_an_old_etag_is_judged_by_the_new_image(net: Net, images: list[SiteImage]) -> None:
    connection = net.connect()
    answer = connection.ask(get("/small.txt"))
    tag = answer.partition(b"ETag: ")[2].partition(b"\r\n")[0].decode()
    condition = f"If-None-Match: {tag}\r\n"
    assert connection.ask(get("/small.txt", condition)).startswith(b"HTTP/1.1 304 ")
    assert net.engine.offer_image(images[1].buffer)
    assert version_of(content(connection.ask(get("/small.txt", condition)))) == 1


def test_a_connection_that_ends_lets_go_of_its_image(net: Net, images: list[SiteImage]) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/big.bin") * 3)
    assert net.engine.offer_image(images[1].buffer)
    net.pass_time(100)
    assert net.engine.images_held() == 2
    net.pass_time(200_000, step_ms=1000)  # nothing is acknowledged: it is given up
    assert net.engine.images_held() == 1


def test_images_in_use_are_bounded(net: Net, images: list[SiteImage]) -> None:
    slow = []
    for version in range(GENERATIONS_MOST - 1):
        slow.append(net.connect(auto_ack=False))
        slow[-1].ask(get("/big.bin"))
        assert net.engine.offer_image(images[version + 1].buffer)
        net.turn()
    assert net.engine.images_held() == GENERATIONS_MOST
    assert not net.engine.offer_image(images[GENERATIONS_MOST].buffer)
    assert version_of(content(net.connect().ask(get("/small.txt")))) == GENERATIONS_MOST - 1
    while slow[3].acked < len(slow[3].received):
        slow[3].ack()
    net.pass_time(10)
    assert net.engine.offer_image(images[GENERATIONS_MOST].buffer)
    assert version_of(content(net.connect().ask(get("/small.txt")))) == GENERATIONS_MOST


def test_an_offer_waits_for_the_one_before_it(net: Net, images: list[SiteImage]) -> None:
    assert net.engine.offer_image(images[1].buffer)
    assert not net.engine.offer_image(images[2].buffer)
    net.turn()
    assert net.engine.offer_image(images[2].buffer)


def test_what_is_no_image_is_refused(net: Net) -> None:
    with pytest.raises(ValueError, match="image"):
        net.engine.offer_image(bytes(100))


def test_an_image_that_is_let_go_of_is_unmapped(make_net: NetMaker, tmp_path: Path) -> None:
    first, second = image_of(tmp_path, 1), image_of(tmp_path, 2)
    net = make_net(image=first.buffer)
    assert net.engine.offer_image(second.buffer)
    net.turn()
    assert net.engine.images_held() == 1
    first.buffer.release()  # BufferError while anybody has it


@pytest.mark.parametrize("seed", range(5))
def test_many_reloads_among_many_requests_mix_nothing(
    make_net: NetMaker, images: list[SiteImage], seed: int
) -> None:
    """Clients that acknowledge at random, ask at random; after each request only a version that was served
    between its sending and its answer may come."""
    chance = random.Random(seed)
    net = make_net(image=images[0].buffer)
    clients = [net.connect(auto_ack=chance.random() < 0.5) for _ in range(12)]
    asked = [0] * len(clients)
    version = 0
    for _ in range(150):
        number = chance.randrange(len(clients))
        if chance.random() < 0.3:
            wanted = (version + 1) % len(images)
            if net.engine.offer_image(images[wanted].buffer):
                version = wanted
                net.turn()
        elif asked[number] - bytes(clients[number].received).count(b"HTTP/1.1 20") < 3:
            clients[number].send(get(chance.choice(["/big.bin", "/small.txt", "/"])))
            asked[number] += 1
            net.turn()
        else:
            clients[number].ack(chance.randrange(1, 50_000))
    for client in clients:
        net.settle()
        while client.acked < len(client.received):
            client.ack()
    for client, count in zip(clients, asked, strict=True):
        parts = bytes(client.received).split(b"HTTP/1.1 20")[1:]
        assert len(parts) == count
        for part in parts:
            head, _, rest = part.partition(b"\r\n\r\n")
            assert f"Content-Length: {len(rest)}".encode() in head
            version_of(rest)
    net.pass_time(10)
    assert net.engine.images_held() == 1
