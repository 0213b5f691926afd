"""igb: two queues with vectors of their own for either direction, or up to eight with one for both."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.vm.netlab import GuestLab
from tests.vm.serving import GuestProcess, fetch, load, received_by_driver, serving

pytestmark = pytest.mark.parametrize("lab", ["igb"], indirect=True)


DEFAULT_QUEUES, MOST_QUEUES, MOST_APART = 2, 8, 4


def set_queues(lab: GuestLab, queues: int) -> None:
    """Queues and flow table, which may never name a queue that is not there."""
    lab.guest(
        "ethtool -X eth0 equal 1", f"ethtool -L eth0 combined {queues}", f"ethtool -X eth0 equal {queues}"
    )


@pytest.fixture
def queues(lab: GuestLab, request: pytest.FixtureRequest) -> Iterator[int]:
    """The card with as many queues as the parameter says."""
    set_queues(lab, request.param)
    yield request.param
    set_queues(lab, DEFAULT_QUEUES)


@pytest.fixture
def paired(lab: GuestLab) -> Iterator[GuestLab]:
    """Eight queues: more vectors than the device has, so that receive and transmit share them."""
    set_queues(lab, MOST_QUEUES)
    yield lab
    set_queues(lab, DEFAULT_QUEUES)


@pytest.mark.parametrize("queues", range(1, MOST_QUEUES + 1), indirect=True)
def test_all_queues_share_the_load_with_vectors_apart_or_paired(lab: GuestLab, queues: int) -> None:
    kind = "rx" if queues <= MOST_APART else "TxRx"
    assert f"eth0-{kind}-{queues - 1}" in lab.guest("cat /proc/interrupts").output
    with serving(lab, "--zero-copy") as server:
        assert f"({', '.join(map(str, range(queues)))})" in server.said
        before = received_by_driver(lab)
        assert load(lab, lab.wire.url(), connections=16 * queues, seconds=1).errors == 0
        after = received_by_driver(lab)
        account = server.stop()
    assert account.lost == 0
    least = 20
    assert set(account.received) == set(account.sent) == set(range(queues))
    assert min(account.received.values()) > least, account
    assert min(account.sent.values()) > least, account
    assert min(after[queue] - before[queue] for queue in range(queues)) > least, "by the driver's own count"


def test_a_server_says_that_it_serves_once_the_link_is_back(lab: GuestLab) -> None:
    """Attaching resets the card, and the link is gone for a second or two."""
    ups, carrier = "dmesg | grep -c 'eth0: igb: eth0 NIC Link is Up'", "cat /sys/class/net/eth0/carrier"
    lab.guest(f"until [ $({carrier}) = 1 ]; do usleep 100000; done")  # of the last server's end
    before = int(lab.guest(ups).output)
    with serving(lab, "--zero-copy") as server:
        assert lab.guest(carrier).output.strip() == "1"
        assert int(lab.guest(ups).output) == before + 1
        assert "no link" not in server.said
        assert server.stop().lost == 0


def test_a_queue_without_socket_is_warned_of_before_and_while_it_happens(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy", "--queue", "0") as server:
        assert "warning: eth0: nothing serves queue 1" in server.said
        command = ["curl", "-s", "-o", "/dev/null", "--max-time", "10", lab.wire.url()]
        statuses = {lab.client(command).returncode for _ in range(32)}
        assert statuses == {0, 7}, "connections that arrive on the other queue go to the kernel"
        lab.guest("sleep 2")
        server.stop()
        assert "warning: eth0 queue 1: packets for us arrive there" in server.said


def test_busy_polling_is_not_preferred_where_transmit_is_apart(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy", "--busy-poll") as server:
        assert "warning: eth0 queue 0: frames do not leave with preferred busy polling" in server.said
        assert "plain busy polling" in server.said
        assert load(lab, lab.wire.url(), seconds=1).errors == 0
        assert server.stop().lost == 0


def test_busy_polling_is_preferred_where_transmit_stands_the_test(paired: GuestLab) -> None:
    with serving(paired, "--zero-copy", "--busy-poll") as server:
        assert "frames do not leave" not in server.said
        assert "zero-copy, preferred busy polling, 8 queues" in server.said
        assert load(paired, paired.wire.url(), seconds=1).errors == 0
        assert server.stop().lost == 0


@pytest.mark.parametrize(("frame_bytes", "cut"), [(2048, True), (4096, False)])
def test_frames_over_a_kilobyte_are_cut_in_chunks_of_2048_bytes_and_counted(
    lab: GuestLab, frame_bytes: int, cut: bool
) -> None:
    """The quirk itself: when a kernel no longer does it, the table can let go of it."""
    server = GuestProcess(lab, ["chunks", "eth0", lab.wire.guest4, str(frame_bytes)])
    server.wait_until_serving()
    header = "X-Long: " + "a" * 1250
    body = fetch(lab, lab.wire.url(), "--max-time", "3" if cut else "20", "-H", header)
    server.signal("TERM")
    assert server.wait() == 0, server.said
    counters = json.loads(server.said[server.said.index("{") :])
    assert counters["zero_copy"]
    assert counters["lost"] == 0
    assert (body == b"", counters["drop_ip_length"] > 0) == (cut, cut), counters
