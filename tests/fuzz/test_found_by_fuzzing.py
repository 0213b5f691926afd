"""What fuzzing found once, each as a few frames to an ordinary engine."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from bypass._engine import Engine
from bypass.site.builder import compile_site

OUR_MAC = "02:00:00:00:00:01"
REQUEST = b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
MS = 1_000_000


class Conversation:
    """A client with two ways to the engine, driver 0 and driver 1."""

    def __init__(self, image: mmap.mmap) -> None:
        self.engine = Engine(image=image, addresses=[b"\x0a\x00\x00\x01"], port=80, secret=bytes(range(32)))
        for _ in range(2):
            self.engine.add_memory(rx_frames=64, tx_frames=64)
        self.now_ns = 1_000 * MS
        syn_ack = self.say(0, "S", 1000, 0)[0]
        self.server_seq = syn_ack.seq + 1
        self.say(0, "A", 1001, self.server_seq)

    def say(
        self, driver: int, flags: str, seq: int, ack: int, payload: bytes = b"", window: int = 0
    ) -> list[TCP]:
        """One segment arrives; what the engine answers within the turn, on either driver."""
        tcp = TCP(sport=4000, dport=80, flags=flags, seq=seq, ack=ack % 2**32, window=window)
        frame = (
            Ether(dst=OUR_MAC, src="02:00:00:00:00:02") / IP(src="10.0.0.9", dst="10.0.0.1") / tcp / payload
        )
        assert self.engine.inject(driver, bytes(frame))
        self.engine.turn(self.now_ns)
        self.now_ns += MS
        return [Ether(octets)[TCP] for number in range(2) for octets in self.engine.collect(number)]


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_bytes(b"x" * 5000)
    with (tmp_path / "site.img").open("w+b") as output:
        compile_site(site, output)
        return Conversation(mmap.mmap(output.fileno(), 0, prot=mmap.PROT_READ))


def test_an_acknowledgement_2_to_31_ahead_acknowledges_nothing(conversation: Conversation) -> None:
    answers = conversation.say(0, "A", 1001, conversation.server_seq + 2**31)
    assert [bytes(answer.payload) for answer in answers] == [b""]
    assert answers[0].seq == conversation.server_seq
    assert conversation.engine.counters()["bad_acks"] == 1
    answers = conversation.say(0, "PA", 1001, conversation.server_seq, REQUEST, window=4000)
    assert bytes(answers[0].payload).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_segment_on_another_queue_is_answered_from_frames_of_the_right_one(
    conversation: Conversation,
) -> None:
    answers = conversation.say(1, "PA", 1001, conversation.server_seq, REQUEST, window=4000)
    assert bytes(answers[0].payload).startswith(b"HTTP/1.1 200 OK\r\n")
    assert conversation.engine.frames_lost() == 0
    for _ in range(200):
        conversation.say(1, "A", 1001 + len(REQUEST), conversation.server_seq)
    assert conversation.engine.frames_lost() == 0
