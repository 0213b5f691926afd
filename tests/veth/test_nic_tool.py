"""`bypass nic` on a veth pair: what it changes is put back, whatever goes wrong. ethtool and /sys judge."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.netlab import eventually

ROOT = Path(__file__).resolve().parents[2]
BYPASS = [sys.executable, "-m", "bypass", "nic"]
STEPS = 3
"""Of the plan for a pair as `Bench` makes it: offload, channels, NAPI."""


class Bench:
    """An interface of four queues in a namespace whose /sys shows it, and a folder for journals."""

    def __init__(self, pair: VethPair, folder: Path) -> None:
        self.ifname = pair.server.ifname
        self.namespace = str(pair.server.namespace)
        self.folder = folder
        self.run(["ethtool", "-K", self.ifname, "gro", "on"])

    def command(self, words: list[str]) -> list[str]:
        """To be run there; `ip netns exec` mounts the namespace's own /sys."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def run(self, words: list[str], code: int = 0) -> str:
        """stdout and stderr of a command that ends with `code`."""
        done = subprocess.run(self.command(words), cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{words}: {done.returncode}, {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def nic(self, verb: str, *arguments: str, code: int = 0) -> str:
        state = () if verb in ("show", "plan", "top") else ("--state-dir", str(self.folder))
        return self.run([*BYPASS, verb, self.ifname, *arguments, *state], code)

    def child(self, how: str, number: int, rollback_after_s: int = 0) -> list[str]:
        arguments = [how, str(number), self.ifname, str(self.folder), str(rollback_after_s)]
        return self.command([sys.executable, "-m", "tests.veth.nic_child", *arguments])

    def state(self) -> str:
        """Everything that ethtool and /sys show of the interface."""
        words = [["ethtool", "-l"], ["ethtool", "-k"], ["ethtool", "-g"], ["ethtool", "-c"]]
        shown = [
            subprocess.run(self.command([*one, self.ifname]), capture_output=True).stdout for one in words
        ]
        files = f"cd /sys/class/net/{self.ifname} && grep . napi_defer_hard_irqs gro_flush_timeout threaded"
        files += " $(find queues/ -name rps_cpus -o -name xps_cpus | sort)"
        shown.append(subprocess.run(self.command(["sh", "-c", files]), capture_output=True).stdout)
        return b"".join(shown).decode()

    def journals(self) -> list[Path]:
        return list(self.folder.glob("*.json"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with VethPair(isolate_server=True, queues=4) as pair:
        yield Bench(pair, tmp_path / "state")


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_show_plan_apply_verify_restore_is_a_round_trip(bench: Bench, workers: int) -> None:
    before = bench.state()
    shown = json.loads(bench.nic("show", "--json"))
    assert shown["version"] == 1
    assert (shown["link"]["driver"], shown["channels"]["rx"], len(shown["queues"])) == ("veth", 4, 4)
    wish = ("--workers", str(workers), "--busy-poll")
    planned = json.loads(bench.nic("plan", *wish, "--json"))
    assert len(planned["steps"]) == (2 if workers == 4 else STEPS)
    assert bench.state() == before, "a plan changed something"
    bench.nic("apply", *wish)
    assert f"RX:\t\t{workers}" in bench.state()
    assert "as planned" in bench.nic("verify")
    assert "nothing to change" in bench.nic("apply", *wish)
    bench.nic("restore")
    assert bench.state() == before
    assert "nothing to restore" in bench.nic("restore")


def test_what_the_plan_prints_does_the_same_when_typed(bench: Bench) -> None:
    before = bench.state()
    wish = ("--workers", "2", "--busy-poll")
    steps = json.loads(bench.nic("plan", *wish, "--json"))["steps"]
    bench.nic("apply", *wish)
    applied = bench.state()
    bench.nic("restore")
    for step in steps:
        bench.run(["sh", "-ec", step["command"]])
    assert bench.state() == applied
    for step in reversed(steps):
        bench.run(["sh", "-ec", step["undo"]])
    assert bench.state() == before


def test_the_script_does_the_same_as_the_plan(bench: Bench, tmp_path: Path) -> None:
    wish = ("--workers", "2", "--busy-poll")
    script = tmp_path / "tune.sh"
    script.write_text(bench.nic("plan", *wish, "--emit-script", "--quiet"))
    bench.run(["sh", str(script)])
    assert "nothing to change" in bench.nic("plan", *wish)


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_a_step_that_fails_puts_everything_back(bench: Bench, number: int) -> None:
    before = bench.state()
    done = subprocess.run(bench.child("fail", number), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert f"step {number}" in done.stdout and "Everything is as it was before" in done.stdout
    assert bench.state() == before
    assert bench.journals() == []


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_between_two_steps_it_restores(bench: Bench, number: int) -> None:
    before = bench.state()
    kill_at(bench, number)
    if number > 1:
        assert bench.state() != before
    assert "cut short" in bench.nic("verify", code=3)
    bench.nic("restore")
    assert bench.state() == before
    assert bench.journals() == []


def test_killed_between_two_steps_it_can_apply_again(bench: Bench) -> None:
    before = bench.state()
    kill_at(bench, 2)
    bench.nic("apply", "--workers", "2", "--busy-poll")
    assert "as planned" in bench.nic("verify")
    bench.nic("restore")
    assert bench.state() == before


def kill_at(bench: Bench, number: int, rollback_after_s: int = 0) -> None:
    """SIGKILL when the write of that number is about to be made."""
    with subprocess.Popen(
        bench.child("stop", number, rollback_after_s), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_puts_everything_back(bench: Bench, number: signal.Signals) -> None:
    before = bench.state()
    with subprocess.Popen(bench.child("stop", STEPS), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        assert bench.state() != before
        assert f"process {process.pid}" in bench.nic("verify", code=3), "under way, and not cut short"
        process.send_signal(number)
        assert "interrupted" in process.stdout.readline()
        assert process.wait(10) == 1
    assert bench.state() == before
    assert bench.journals() == []


def test_two_at_once_are_kept_apart(bench: Bench) -> None:
    with subprocess.Popen(bench.child("stop", 1), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        for verb in ("apply", "restore", "confirm"):
            assert f"process {process.pid}" in bench.nic(verb, code=69)
        process.kill()
    bench.nic("restore")


def test_drift_ends_with_3_and_is_named(bench: Bench) -> None:
    bench.nic("apply", "--workers", "2")
    bench.run(["ethtool", "-L", bench.ifname, "rx", "3"])
    assert "channels: planned rx 2 tx 2, now rx 3 tx 2" in bench.nic("verify", code=3)
    facts = json.loads(bench.nic("verify", "--json", code=3))
    assert [one["setting"] for one in facts["drifted"]] == ["channels"]
    bench.nic("restore")


def test_the_interface_of_the_default_route_takes_force(bench: Bench) -> None:
    bench.run(["ip", "route", "add", "default", "dev", bench.ifname])
    before = bench.state()
    assert "the default route" in bench.nic("apply", "--workers", "2", code=1)
    assert bench.state() == before
    bench.nic("apply", "--workers", "2", "--force")
    assert bench.state() != before
    bench.nic("restore")
    assert bench.state() == before


def test_what_nobody_confirms_is_undone(bench: Bench) -> None:
    before = bench.state()
    bench.nic("apply", "--workers", "2", "--rollback-after", "2s")
    assert bench.state() != before
    time.sleep(2)
    assert eventually(lambda: bench.journals() == [])
    assert bench.state() == before
    assert "no change waits" in bench.nic("confirm", code=1)


def test_what_is_confirmed_stays(bench: Bench) -> None:
    bench.nic("apply", "--workers", "2", "--rollback-after", "5s")
    bench.nic("confirm")
    time.sleep(6)
    assert "as planned" in bench.nic("verify")
    bench.nic("restore")


def test_a_tool_that_is_killed_is_undone_in_time_all_the_same(bench: Bench) -> None:
    before = bench.state()
    kill_at(bench, STEPS, rollback_after_s=3)
    assert bench.state() != before
    time.sleep(3)
    assert eventually(lambda: bench.journals() == [])
    assert bench.state() == before


def test_a_watchdog_that_is_killed_is_made_good_by_the_next_command(bench: Bench) -> None:
    before = bench.state()
    bench.nic("apply", "--workers", "2", "--rollback-after", "3s")
    for pid in watchdogs(bench):
        os.kill(pid, signal.SIGKILL)
    time.sleep(4)
    assert bench.state() != before
    assert "is undone" in bench.nic("confirm", code=1)
    assert bench.state() == before


def watchdogs(bench: Bench) -> list[int]:
    """Processes that wait to undo in this bench's folder."""
    words = [b"bypass.nic.watchdog", str(bench.folder.resolve()).encode()]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if set(words) <= set((folder / "cmdline").read_bytes().split(b"\0")):
                found.append(int(folder.name))
    assert len(found) == 1
    return found


def test_the_interface_of_an_ssh_session_takes_force(bench: Bench) -> None:
    session = "SSH_CONNECTION=198.18.0.2 50000 198.18.0.1 22"
    apply = [
        "env",
        session,
        *BYPASS,
        "apply",
        bench.ifname,
        "--workers",
        "2",
        "--state-dir",
        str(bench.folder),
    ]
    before = bench.state()
    assert "this SSH session" in bench.run(apply, 1)
    elsewhere = [word.replace("198.18.0.1 22", "192.0.2.1 22") for word in apply]
    assert bench.state() == before
    bench.run(elsewhere)
    bench.nic("restore")


def test_a_port_of_the_bridge_that_carries_the_default_route_takes_force(bench: Bench) -> None:
    for line in (
        "ip link add br0 type bridge",
        f"ip link set {bench.ifname} master br0",
        "ip link set br0 up",
        "ip route add default dev br0",
    ):
        bench.run(line.split())
    assert "the default route" in bench.nic("apply", "--workers", "2", code=1)


def test_polling_in_threads_is_refused_by_a_pair_that_does_not_poll(bench: Bench) -> None:
    """veth polls only for XDP and while it merges packets, which the plan turns off."""
    before = bench.state()
    assert "threaded on, failed (EOPNOTSUPP)" in bench.nic("apply", "--threaded", code=1)
    assert bench.state() == before


def test_a_recorded_snapshot_stands_in_for_the_machine(bench: Bench, tmp_path: Path) -> None:
    record = tmp_path / "show.json"
    record.write_text(bench.nic("show", "--json"))
    here = bench.nic("plan", "--workers", "2", "--json")
    elsewhere = [*BYPASS, "plan", bench.ifname, "--workers", "2", "--json", "--snapshot", str(record)]
    done = subprocess.run(elsewhere, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, here)
    assert "not of eth0" in bench.run([*BYPASS, "plan", "eth0", "--snapshot", str(record)], 78)
    record.write_text("{}")
    assert "not a snapshot" in bench.run([*BYPASS, "plan", bench.ifname, "--snapshot", str(record)], 78)


def test_hugepages_are_reserved_and_given_back(bench: Bench) -> None:
    pages = Path("/proc/sys/vm/nr_hugepages")
    before = pages.read_text()
    wanted = int(before) + 1
    bench.nic("apply", "--hugepages", str(wanted))
    assert int(pages.read_text()) == wanted
    bench.nic("restore")
    assert pages.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("plan", "--workers", "5"), 69, "at most 4"),
        (("plan", "--queues", "7"), 78, "no such queue"),
        (("plan", "--queues", "x"), 2, "not a list"),
        (("plan", "--workers", "1", "--queues", "0"), 2, "only one"),
        (("plan", "--irq-affinity", "9"), 78, "no CPU 9"),
        (("plan", "--irq-affinity", "near"), 78, "local, remote, one"),
        (("apply", "--rollback-after", "soon"), 2, "not a time"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(
    bench: Bench, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = bench.state()
    assert words in bench.nic(*arguments, code=code)
    assert bench.state() == before


def test_an_unknown_interface_is_named_with_the_nearest(bench: Bench) -> None:
    said = bench.run([*BYPASS, "show", bench.ifname + "x"], 69)
    assert f"Did you mean '{bench.ifname}'" in said
