"""What must hold on every driver that does zero-copy: the whole of a site, load, loss, restarts, a kill.

Each guest is asked through the kernel's TCP of this machine over a tap; forced zero-copy throughout.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import quote

import pytest

from bypass.serve.plan import RX_FRAMES
from tests.vm.conftest import Sites, figures
from tests.vm.netlab import GuestLab
from tests.vm.serving import GuestServer, fetch, in_background, load, serving

CRAWLER = Path(__file__).parents[1] / "veth" / "crawler.py"
FLOOD = Path(__file__).with_name("flood.py")
LARGE_SITE = "/srv/large.img"
ROUNDS = int(os.environ.get("BYPASS_VM_ROUNDS", "1"))
"""Of the comparison; more of them make figures that can be written down."""
pytestmark = pytest.mark.parametrize("lab", ["igb", "virtio"], indirect=True)


def digests(tree: Path, every: int = 1) -> dict[str, str]:
    """URL path -> SHA-256 of each file, or of every n-th."""
    paths = sorted(path for path in tree.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        "/" + quote(str(path.relative_to(tree))): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths[::every]
    }


def crawl(lab: GuestLab, version: int, files: dict[str, str]) -> None:
    """Every file arrives with status 200 and as it lies on disk."""
    host = lab.wire.guest4 if version == 4 else f"[{lab.wire.guest6}]"
    done = lab.client([sys.executable, str(CRAWLER), host], input="\n".join(files), timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert dict.fromkeys(files, 200) == {path: status for path, (status, _, _) in found.items()}
    assert files == {path: digest for path, (_, digest, _) in found.items()}


def xdp_is_attached(lab: GuestLab) -> bool:
    return "xdp" in lab.guest(f"/usr/sbin/ip link show {lab.wire.ifname}").output


def test_zero_copy_is_what_the_kernel_reads_back_and_the_first_request_is_answered(
    lab: GuestLab, sites: Sites
) -> None:
    with serving(lab, "--zero-copy") as server:
        for version in (4, 6):
            page = fetch(lab, lab.wire.url(version), "--max-time", "10")
            assert page == (sites.small / "index.html").read_bytes()
        assert re.search("driver (igb|virtio_net), native mode, zero-copy, ", server.said)
        assert xdp_is_attached(lab)
        assert server.stop().lost == 0
    assert not xdp_is_attached(lab)


def test_a_whole_site_arrives_as_on_disk_over_both_ip_versions(lab: GuestLab, sites: Sites) -> None:
    files = digests(sites.large)
    assert len(files) > 500
    with serving(lab, "--zero-copy", site=LARGE_SITE) as server:
        for version in (4, 6):
            crawl(lab, version, files)
        assert server.stop().lost == 0


def test_load_without_one_error_and_no_frame_lost(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy") as server:
        done = load(lab, lab.wire.url(), connections=64, seconds=3)
        assert done.errors == 0
        assert done.requests > 200
        account = server.stop()
    assert account.lost == 0
    assert sum(account.received.values()) > done.requests


def test_bodies_of_a_megabyte(lab: GuestLab, sites: Sites) -> None:
    with serving(lab, "--zero-copy") as server:
        for version in (4, 6):
            body = fetch(lab, lab.wire.url(version, "/large.bin"))
            assert body == (sites.small / "large.bin").read_bytes()
        done = load(lab, lab.wire.url(path="/large.bin"), connections=8, seconds=3)
        assert done.errors == 0
        assert done.requests > 3
        assert server.stop().lost == 0


@pytest.fixture
def lossy(lab: GuestLab) -> Iterator[GuestLab]:
    """One frame in twenty is lost, in either direction."""
    drop = "numgen random mod 100 < 5 counter drop;"
    rules = f"""
    table netdev loss {{
        chain from_guest {{ type filter hook ingress device {lab.wire.tap} priority 0; {drop}
        }}
        chain to_guest {{ type filter hook egress device {lab.wire.tap} priority 0; {drop}
        }}
    }}"""
    done = lab.client(["nft", "-f", "-"], input=rules)
    assert done.returncode == 0, done.stderr
    yield lab
    lab.client(["nft", "delete", "table", "netdev", "loss"])


def test_with_five_percent_of_frames_lost_everything_still_arrives(lossy: GuestLab, sites: Sites) -> None:
    with serving(lossy, "--zero-copy", site=LARGE_SITE) as server:
        for version in (4, 6):
            crawl(lossy, version, digests(sites.large, every=40))
        assert server.stop().lost == 0
    dropped = lossy.client(["nft", "list", "table", "netdev", "loss"]).stdout
    assert "packets 0 " not in dropped, dropped


def test_killed_under_load_the_kernel_has_its_port_back_and_a_new_start_serves(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy") as server, in_background(lab, lab.wire, "/large.bin"):
        time.sleep(1.0)
        server.signal("KILL")
        assert server.wait() == -9
        lab.guest(
            f"for i in $(seq 100); do /usr/sbin/ip link show {lab.wire.ifname} | grep -q xdp || break;"
            " usleep 50000; done"
        )
        assert not xdp_is_attached(lab)
    refused = lab.client(["curl", "-sS", "--retry", "10", "--max-time", "10", lab.wire.url()])
    assert refused.returncode == 7, refused.stderr
    with serving(lab, "--zero-copy") as server:
        assert load(lab, lab.wire.url(), seconds=1).errors == 0
        assert server.stop().lost == 0


def test_ten_starts_in_a_row_under_load_never_find_the_queue_taken(lab: GuestLab) -> None:
    with in_background(lab, lab.wire, clients=2):
        for _ in range(10):
            server = GuestServer(lab, "--zero-copy", "--drain-timeout", "0")
            said = server.wait_until_serving()
            assert "zero-copy" in said
            account = server.stop()
            assert account.lost == 0
            assert "EBUSY" not in server.said
    with serving(lab, "--zero-copy") as server:
        assert load(lab, lab.wire.url(), seconds=1).errors == 0


def test_a_server_that_was_held_up_until_every_buffer_was_full_receives_again(lab: GuestLab) -> None:
    """The driver ran dry, and has to be woken; igb's wakeup reaches the transmit side alone."""
    mac = lab.guest(f"cat /sys/class/net/{lab.wire.ifname}/address").output.strip()
    flood = [sys.executable, str(FLOOD), lab.wire.tap, mac, lab.wire.host4, lab.wire.guest4, "12000"]
    with serving(lab, "--zero-copy") as server:
        server.signal("STOP")
        assert lab.client(flood).returncode == 0
        server.signal("CONT")
        assert fetch(lab, lab.wire.url(), "--retry", "5", "--retry-all-errors", "--max-time", "5")
        assert load(lab, lab.wire.url(), seconds=1).errors == 0
        account = server.stop()
    assert max(account.received.values()) > RX_FRAMES
    assert max(account.starved.values()) > 0
    assert account.lost == 0


def test_copy_beside_zero_copy(lab: GuestLab) -> None:
    """Function, not speed: emulator, guest and client share this machine's processors."""
    found: dict[str, list[tuple[float, float]]] = {"zero-copy": [], "copy": []}
    for _ in range(ROUNDS):
        for memory, runs in found.items():
            with serving(lab, f"--{memory}", "--poll", "efficient") as server:
                assert f"native mode, {memory}, " in server.said
                before = server.cpu_s()
                done = load(lab, lab.wire.url(), connections=32, seconds=3)
                spent_us = (server.cpu_s() - before) * 1e6 / done.requests
                assert done.errors == 0
                assert server.stop().lost == 0
            runs.append((done.requests_per_s, spent_us))
    driver = "igb" if "driver igb" in server.said else "virtio_net"
    for memory, runs in found.items():
        rate, spent_us = (median(column) for column in zip(*runs, strict=True))
        figures.append(
            f"{driver} {memory}: {rate:.0f} requests/s, {spent_us:.0f} us of the server's processor time"
            f" per request, median of {len(runs)}"
        )
