"""The AF_XDP driver on a real interface: bursts, completions, failures, nothing left behind."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from bypass._probe_driver import XdpProbe
from bypass.xdp.program import RedirectProgram
from tests.veth.netlab import PORT, VethLab, eventually, receive, tcp

pytestmark = pytest.mark.root

PROTOCOL = 0x88B5  # for local experiments: the kernel ignores it


def _outgoing(number: int, octets: int = 60) -> bytes:
    return (
        b"\xff" * 6
        + bytes(6)
        + PROTOCOL.to_bytes(2, "big")
        + number.to_bytes(4, "big").ljust(octets - 14, b".")
    )


def _collect(packets: socket.socket, count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count:
        frame = packets.recv(4096)
        if frame[12:14] == PROTOCOL.to_bytes(2, "big"):
            frames.append(frame)
    return frames


def test_the_mode_is_read_back_from_the_kernel(lab: VethLab) -> None:
    assert lab.xdp_socket().zero_copy is False


def test_a_burst_of_2048_frames_leaves_in_order_and_every_frame_comes_back(lab: VethLab) -> None:
    packets = lab.packet_socket(queue_bytes=1 << 24)
    probe = lab.xdp_socket(tx_frames=2048)
    for first in range(0, 2048, 64):
        indices = probe.alloc(64)
        for number, index in enumerate(indices, first):
            probe.write(index, _outgoing(number))
        assert probe.submit(indices) == 64
    assert probe.outstanding == 2048

    def all_back() -> bool:
        assert probe.wakeup() == 0
        return probe.outstanding == 0

    assert eventually(all_back)
    assert _collect(packets, 2048) == [_outgoing(number) for number in range(2048)]
    assert probe.pools[1] == 2048
    assert probe.lost() == 0
    assert probe.stats["tx_completed"] == 2048
    assert probe.statistics()["tx_invalid_descs"] == 0


def test_one_wakeup_sends_a_whole_burst(lab: VethLab) -> None:
    packets = lab.packet_socket(queue_bytes=1 << 24)
    probe = lab.xdp_socket(tx_frames=512)
    for first in range(0, 256, 64):
        indices = probe.alloc(64)
        for number, index in enumerate(indices, first):
            probe.write(index, _outgoing(number, 1514))
        assert probe.submit(indices) == 64
    assert probe.wakeup() == 0
    assert len(_collect(packets, 256)) == 256
    assert probe.stats["wakeup_calls"] <= 1 + 256 // 32


def test_an_idle_wakeup_makes_no_system_call(lab: VethLab) -> None:
    probe = lab.xdp_socket()
    assert probe.wakeup() == 0
    assert probe.rx_burst() == []
    assert probe.stats["wakeup_calls"] == 0
    assert probe.stats["rx_kicks"] == 0


def test_received_frames_go_around_many_times_without_loss(lab: VethLab, program: RedirectProgram) -> None:
    probe = lab.xdp_socket(rx_frames=16, tx_frames=16)
    program.register(0, probe.fd)
    packets = lab.packet_socket()
    for turn in range(100):
        frame = lab.ethernet(lab.ipv4(tcp(PORT, source_port=1024 + turn)), 0x0800)
        packets.send(frame)
        assert receive(probe) == [frame]
    assert probe.stats["rx_frames"] == 100
    assert probe.lost() == 0
    assert probe.statistics()["rx_dropped"] == 0


def test_a_received_frame_is_turned_around_in_place(lab: VethLab, program: RedirectProgram) -> None:
    probe = lab.xdp_socket()
    program.register(0, probe.fd)
    packets = lab.packet_socket()
    packets.send(lab.ethernet(lab.ipv4(tcp(PORT)), 0x0800))
    assert eventually(lambda: bool(probe.rx_burst() or probe.held_indices()))
    (index,) = probe.held_indices()
    reply = _outgoing(77)
    probe.write(index, reply)
    assert probe.submit([index]) == 1
    assert probe.wakeup() == 0
    assert _collect(packets, 1) == [reply]
    assert eventually(lambda: probe.wakeup() == 0 and probe.outstanding == 0)
    assert probe.lost() == 0


def test_a_full_sized_frame_fits_both_chunk_sizes(lab: VethLab, program: RedirectProgram) -> None:
    frame = lab.ethernet(lab.ipv4(tcp(PORT) + b"d" * 1460), 0x0800)
    assert len(frame) == 1514
    packets = lab.packet_socket()
    for frame_bytes in (2048, 4096):
        probe = lab.xdp_socket(frame_bytes=frame_bytes)
        program.register(0, probe.fd)
        packets.send(frame)
        assert receive(probe) == [frame]
        probe.close()


def test_closing_sends_what_was_queued(lab: VethLab) -> None:
    packets = lab.packet_socket()
    probe = lab.xdp_socket()
    indices = probe.alloc(8)
    for number, index in enumerate(indices):
        probe.write(index, _outgoing(number))
    assert probe.submit(indices) == 8
    probe.close()
    assert _collect(packets, 8) == [_outgoing(number) for number in range(8)]


def test_the_options_of_busy_polling_are_accepted(lab: VethLab) -> None:
    probe = lab.xdp_socket(busy_poll_us=20)
    assert probe.busy_poll
    probe.rx_burst()
    assert probe.stats["rx_kicks"] == 1
    probe.close()
    assert not lab.xdp_socket().busy_poll


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.parametrize(
    ("options", "stage", "code"),
    [
        ({"frame_bytes": 1000}, "memory", errno.EINVAL),
        ({"rx_frames": 0}, "memory", errno.EINVAL),
        ({"queue": 7}, "bind", errno.EINVAL),
        ({"mode": 2}, "bind", errno.EOPNOTSUPP),
        ({"ifindex": 99999}, "bind", errno.ENODEV),
    ],
    ids=["frame size", "no frames", "no such queue", "zero-copy on veth", "no such interface"],
)
def test_a_failed_open_names_its_stage_and_leaves_nothing(
    lab: VethLab, options: dict[str, int], stage: str, code: int
) -> None:
    arguments = {"ifindex": lab.ifindex, **options}
    with lab.pair.inside_server():
        descriptors = _open_descriptors()
        mappings = _mappings()
        for _ in range(20):
            with pytest.raises(OSError) as caught:  # noqa: PT011  # errno and stage are looked at below
                XdpProbe(**arguments)
            assert (caught.value.errno, caught.value.filename) == (code, stage)
        assert _open_descriptors() == descriptors
        assert _mappings() <= mappings + 2, "the interpreter itself may map a little"


def test_a_taken_queue_is_refused_at_bind(lab: VethLab) -> None:
    lab.xdp_socket()
    with lab.pair.inside_server(), pytest.raises(OSError) as caught:  # noqa: PT011  # looked at below
        XdpProbe(lab.ifindex)
    assert (caught.value.errno, caught.value.filename) == (errno.EBUSY, "bind")


def test_a_socket_whose_interface_is_gone_is_dead() -> None:
    with VethLab() as lab:
        probe = lab.xdp_socket()
        (index,) = probe.alloc(1)
        probe.write(index, _outgoing(1))
        lab.delete_link()
        assert probe.submit([index]) == 1
        assert probe.wakeup() in (-errno.ENXIO, -errno.ENETDOWN)
        probe.close()
