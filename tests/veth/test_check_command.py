"""`bypass check` on pairs of virtual links: what is wrong is named with its remedy, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bypass.serve.vethpair import VethPair
from bypass.xdp import libbpf
from bypass.xdp.program import RedirectProgram

pytestmark = pytest.mark.root

Findings = dict[str, dict[str, Any]]


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


def check(
    pair: VethPair, *arguments: str, exit_code: int, drop: str = "", limits: tuple[str, ...] = ()
) -> Findings:
    """Findings by id, of `bypass check ... --json` in the server's namespace. drop: capabilities it lacks."""
    command = [sys.executable, "-m", "bypass", "check", *arguments, "--json"]
    if drop:
        lacking = ",".join(f"-{name}" for name in drop.split(","))
        command = ["setpriv", f"--bounding-set={lacking}", f"--inh-caps={lacking}", *command]
    done = pair.run(["prlimit", *limits, *command] if limits else command, server=True, timeout=60)
    assert done.returncode == exit_code, (done.stdout, done.stderr)
    return {one["id"]: one for one in json.loads(done.stdout)["findings"]}


def nothing_is_attached(pair: VethPair) -> bool:
    with pair.inside_server():
        return libbpf.query_xdp(pair.server.ifindex) is None


def must(pair: VethPair, *command: str, server: bool = True) -> None:
    done = pair.run(command, server=server)
    assert done.returncode == 0, done.stderr


def test_a_pair_is_served_on_after_a_trial_of_each_mode(pair: VethPair) -> None:
    found = check(pair, pair.server.ifname, exit_code=0)
    assert not [one for one in found.values() if one["level"] == "problem"]
    assert found["trip"]["level"] == "ok"
    assert "native mode, copy" in found["trial-native-copy"]["what"]
    assert "generic mode, copy" in found["trial-generic-copy"]["what"]
    refused = found["trial-native-zero-copy"]
    assert refused["level"] == "note"
    assert "EOPNOTSUPP" in refused["what"] and "veth has no AF_XDP zero-copy" in refused["why"]
    assert nothing_is_attached(pair)


def test_partial_checksums_of_a_veth_pair_are_explained(pair: VethPair) -> None:
    found = check(pair, pair.server.ifname, exit_code=0)["partial-checksums"]
    assert found["level"] == "note"
    assert "unfinished" in found["what"]
    assert "ethtool -K" in found["remedy"] and "tx off" in found["remedy"]


def test_the_machine_alone_makes_a_trip_of_its_own(pair: VethPair) -> None:
    found = check(pair, exit_code=0)
    assert found["trip"]["level"] == "ok"
    assert {one["subject"] for one in found.values()} == {"machine"}


def test_without_privileges_all_that_can_be_read_is_said(pair: VethPair) -> None:
    found = check(pair, pair.server.ifname, exit_code=77, drop="net_admin,net_raw,bpf,sys_admin")
    lacking = found["capabilities"]
    assert lacking["level"] == "problem"
    assert all(name in lacking["why"] for name in ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"))
    assert "sudo bypass check" in lacking["remedy"]
    assert found["trip"]["level"] == "note" and found["trial"]["level"] == "note"
    assert found["queues"]["level"] == "ok", "what takes no privilege is looked at all the same"


def test_locked_memory_of_8_mib_is_too_little(pair: VethPair) -> None:
    limits = (f"--memlock={8 << 20}:{8 << 20}",)
    found = check(pair, exit_code=77, drop="ipc_lock,sys_resource", limits=limits)["memlock"]
    assert found["level"] == "problem"
    assert "8.0 MiB" in found["what"] and "16.0 MiB" in found["why"]
    assert "LimitMEMLOCK=infinity" in found["remedy"]


def test_a_queue_that_cannot_send_is_a_problem() -> None:
    with VethPair(queues=2, isolate_server=True) as pair:
        must(pair, "ethtool", "-L", pair.server.ifname, "tx", "1")
        found = check(pair, pair.server.ifname, exit_code=69)
        assert "queue 1" in found["queues"]["what"] and "cannot send" in found["queues"]["what"]
        assert f"ethtool -L {pair.server.ifname} rx 1 tx 1" in found["queues"]["remedy"]
        assert found["trial"]["level"] == "note"
        must(pair, "ethtool", "-L", pair.server.ifname, "rx", "1", "tx", "1")
        assert check(pair, pair.server.ifname, exit_code=0)["queues"]["level"] == "ok", "the remedy mends it"


def test_an_mtu_of_9000_is_too_large_for_a_buffer() -> None:
    with VethPair(mtu_bytes=9000, isolate_server=True) as pair:
        found = check(pair, pair.server.ifname, exit_code=69)["mtu"]
        assert found["level"] == "problem"
        assert "9000" in found["what"] and "4096" in found["why"]
        assert f"ip link set {pair.server.ifname} mtu 1500" in found["remedy"]
        must(pair, "ip", "link", "set", pair.server.ifname, "mtu", "1500")
        assert check(pair, pair.server.ifname, exit_code=0)["mtu"]["level"] == "ok"


def test_another_xdp_program_is_named_and_left_alone(pair: VethPair) -> None:
    with pair.inside_server(), RedirectProgram() as program:
        program.load(1)
        program.attach(pair.server.ifindex, pair.server.ifname, "generic")
        before = libbpf.query_xdp(pair.server.ifindex)
        found = check(pair, pair.server.ifname, exit_code=0)
        assert "bypass is serving here already" in found["xdp-program"]["what"]
        assert "attached" in found["trial"]["what"]
        assert libbpf.query_xdp(pair.server.ifindex) == before


def test_a_program_of_somebody_else_is_a_problem(pair: VethPair, foreign_program: str) -> None:
    must(pair, "ip", "link", "set", pair.server.ifname, "xdpgeneric", "obj", foreign_program, "sec", "xdp")
    found = check(pair, pair.server.ifname, exit_code=69)["xdp-program"]
    assert found["level"] == "problem"
    assert "generic mode" in found["what"] and "somebodys_own" in found["what"]
    assert f"ip link set dev {pair.server.ifname} xdp" in found["remedy"]
    must(pair, "ip", "link", "set", "dev", pair.server.ifname, "xdpgeneric", "off")
    assert check(pair, pair.server.ifname, exit_code=0)["xdp-program"]["level"] == "ok"


@pytest.fixture(scope="module")
def foreign_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An object with an XDP program that passes every packet."""
    folder = tmp_path_factory.mktemp("foreign")
    source = folder / "foreign.bpf.c"
    source.write_text(
        "struct xdp_md;\n"
        '__attribute__((section("xdp"), used)) int somebodys_own(struct xdp_md *packet) { return 2; }\n'
        'char licence[] __attribute__((section("license"), used)) = "GPL";\n'
    )
    target = folder / "foreign.bpf.o"
    subprocess.run(
        ["clang", "-target", "bpf", "-O2", "-g", "-c", str(source), "-o", str(target)], check=True, timeout=60
    )
    return str(target)


def test_an_interface_that_is_down_is_a_problem(pair: VethPair) -> None:
    must(pair, "ip", "link", "set", pair.server.ifname, "down")
    found = check(pair, pair.server.ifname, exit_code=69)
    assert found["state"]["level"] == "problem"
    assert found["state"]["remedy"] == f"Bring it up: ip link set {pair.server.ifname} up"
    assert found["trial"]["level"] == "note"


def test_the_nearest_name_is_offered_for_an_interface_that_is_not_there(pair: VethPair) -> None:
    found = check(pair, pair.server.ifname + "9", exit_code=69)["interface"]
    assert "no such interface" in found["what"]
    assert pair.server.ifname in found["remedy"]


def test_no_trial_is_made_where_the_default_route_goes_unless_asked_for(pair: VethPair) -> None:
    must(pair, "ip", "route", "add", "default", "via", str(pair.client.v4), "dev", pair.server.ifname)
    found = check(pair, pair.server.ifname, exit_code=0)
    assert "default route" in found["trial"]["what"]
    assert found["trial"]["remedy"] == f"sudo bypass check {pair.server.ifname} --trial"
    assert "trial-native-copy" not in found
    assert check(pair, pair.server.ifname, "--trial", exit_code=0)["trial-native-copy"]["level"] == "ok"


def test_a_person_reads_findings_with_what_to_do(pair: VethPair) -> None:
    must(pair, "ip", "link", "set", pair.server.ifname, "down")
    done = pair.run([sys.executable, "-m", "bypass", "-q", "check", pair.server.ifname], server=True)
    assert done.returncode == 69
    lines = done.stdout.splitlines()
    assert f"  problem  {pair.server.ifname}: the interface is down" in lines
    assert f"           do: Bring it up: ip link set {pair.server.ifname} up" in lines
    assert not [line for line in lines if line.startswith("  ok")]
    assert lines[-1] == "1 problem, 0 warnings"
