"""What goes wrong beside a step: signals, a NIC that does not answer, a full disk, names, cut-short ends."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from bypass.errors import BypassError, ExitCode, UnavailableError
from bypass.nic import ethtool, inspect, sysfiles
from bypass.nic.emit import link_file, script
from bypass.nic.guard import carried, ssh_connection
from bypass.nic.interrupts import as_interrupts
from bypass.nic.journal import Owner, Store, start_ticks, this_owner
from bypass.nic.ntuple import (
    FLOWS,
    HASH_FIELDS,
    RXNFC,
    FlowRule,
    FlowRules,
    decode_rule,
    read_hash_fields,
    write_hash_fields,
)
from bypass.nic.planner import Wish, make_plan
from bypass.nic.recipes import recipe_for
from bypass.nic.settings import AnySetting, PortRule
from bypass.nic.snapshot import Snapshot, settings_in
from bypass.nic.sysfiles import parse_list
from bypass.nic.tuner import Tuner
from bypass.nic.watchdog import watch
from tests.nic.fakenic import FakeNic, hardware

ROOT = Path(__file__).resolve().parents[2]
WISH = Wish(workers=2, busy_poll=True)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Store(tmp_path)


def quiet(_: str) -> None:
    """Notices are looked at elsewhere."""


def apply(nic: FakeNic, store: Store, wish: Wish = WISH, rollback_after_s: float | None = None) -> None:
    recipe = recipe_for(nic.seen.link.driver)
    Tuner(nic, store, quiet).apply(wish, recipe, this_owner("apply"), rollback_after_s=rollback_after_s)


def same_as_before(nic: FakeNic, store: Store) -> bool:
    return settings_in(nic.seen) == settings_in(hardware()) and store.load(nic.ifname) is None


class Shy(FakeNic):
    """Its snapshot is `refused` so many times after the third write."""

    def __init__(self, refused: Exception, times: int) -> None:
        super().__init__(hardware())
        self.refused, self.times = refused, times

    def snapshot(self) -> Snapshot:
        if len(self.writes) == 3 and self.times:
            self.times -= 1
            raise self.refused
        return super().snapshot()


@pytest.mark.parametrize("refused", [BypassError("eth9: cannot be read"), ValueError("a bug of ours")])
def test_a_nic_that_does_not_answer_in_the_middle_is_put_back(store: Store, refused: Exception) -> None:
    nic = Shy(refused, 1)
    with pytest.raises(type(refused), match=str(refused)):
        apply(nic, store)
    assert len(nic.writes) > 3
    assert same_as_before(nic, store)


def test_a_way_back_that_fails_names_the_first_failure_and_the_command(store: Store) -> None:
    nic = Shy(BypassError("eth9: cannot be read"), 9)
    with pytest.raises(BypassError, match=r"cannot be read.*way back failed.*bypass nic restore eth9"):
        apply(nic, store)
    nic.times = 0
    assert Tuner(nic, store, quiet).restore().remaining == ()
    assert same_as_before(nic, store)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_way_back_does_not_tear_it(store: Store, number: signal.Signals) -> None:
    def strike(write: int, _: AnySetting) -> None:
        if write >= 4:
            os.kill(os.getpid(), number)

    nic = FakeNic(hardware(), strike)
    with as_interrupts(), pytest.raises(BypassError, match="Everything is as it was before") as caught:
        apply(nic, store)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert same_as_before(nic, store)


def test_a_signal_that_was_ignored_stays_so(store: Store) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        nic = FakeNic(hardware(), lambda *_: os.kill(os.getpid(), signal.SIGHUP))
        with as_interrupts():
            apply(nic, store)
        assert store.load(nic.ifname) is not None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_interrupts_that_the_kernel_places_itself_are_told_of(store: Store) -> None:
    def refuse(_: int, setting: AnySetting) -> None:
        if setting.key == "irq/rx-0":
            raise OSError(errno.EIO, "Input/output error")

    nic = FakeNic(hardware(), refuse)
    with pytest.raises(BypassError, match=r"irq/rx-0.*failed \(EIO\).*--irq-affinity keep"):
        apply(nic, store)
    assert same_as_before(nic, store)


def test_who_changes_it_now_can_be_asked(store: Store) -> None:
    assert store.holder("eth9") is None
    with store.lock("eth9"):
        assert store.holder("eth9") == str(os.getpid())
    assert store.holder("eth9") is None


def test_a_watchdog_that_cannot_start_stops_the_change(store: Store) -> None:
    def refuse() -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    nic = FakeNic(hardware())
    with pytest.raises(OSError, match="Cannot allocate"):
        Tuner(nic, store, quiet).apply(
            WISH, recipe_for("mlx5_core"), this_owner("apply"), rollback_after_s=9.0, on_journal=refuse
        )
    assert same_as_before(nic, store) and not nic.writes


def test_the_watchdog_tries_again_where_the_nic_did_not_answer(store: Store) -> None:
    nic, said = Shy(BypassError("eth9: cannot be read"), 0), list[str]()
    apply(nic, store, Wish(workers=2, irq_affinity="keep"), rollback_after_s=0.1)
    nic.writes, nic.times = nic.writes[:3], 2
    watch(store, nic, said.append, again_s=0.01)
    assert same_as_before(nic, store)
    assert [("cannot be read" in line, "is undone" in line) for line in said] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def test_the_watchdog_tries_again_what_could_not_be_put_back(store: Store) -> None:
    refusals = 3

    def refuse(_: int, setting: AnySetting) -> None:
        nonlocal refusals
        if setting.key == "rings" and refusals:
            refusals -= 1
            raise OSError(errno.EBUSY, "resetting")

    nic, said = FakeNic(hardware()), list[str]()
    apply(nic, store, rollback_after_s=0.1)
    nic.before_write = refuse
    watch(store, nic, said.append, again_s=0.01)
    assert same_as_before(nic, store)
    assert "not all of it" in said[0] and "is undone" in said[-1]


def test_a_change_that_was_cut_short_at_its_very_end_is_whole_after_the_next(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store)
    journal = store.load(nic.ifname)
    assert journal is not None
    store.save(msgspec.structs.replace(journal, phase="applying", doing=journal.planned[-1], after=()))
    apply(nic, store)
    found, drifted = Tuner(nic, store, quiet).verify()
    assert found is not None and (found.phase, drifted) == ("applied", [])
    assert Tuner(nic, store, quiet).restore().remaining == ()
    assert same_as_before(nic, store)


def renamed(nic: FakeNic) -> None:
    """Another device has its name now; it is called wan0."""
    nic.names = {9: "wan0", 12: "eth9"}
    fresh = hardware()
    nic.seen = msgspec.structs.replace(fresh, link=msgspec.structs.replace(fresh.link, index=12))


def test_the_way_back_of_an_interface_that_was_renamed_is_kept(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store)
    journal = store.load(nic.ifname)
    renamed(nic)
    for act in (Tuner(nic, store, quiet).restore, partial(apply, nic, store)):
        with pytest.raises(UnavailableError, match=r"is called wan0 now.*ip link set wan0 name eth9"):
            act()
    assert store.load(nic.ifname) == journal


# -- the folder


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a b", "a" * 16, "eth0:1", "\udcff", "a\n"])
def test_no_file_is_made_for_a_name_that_no_interface_can_have(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "state" / "nic")
    with pytest.raises(UnavailableError, match="no such interface"), store.lock(name):
        raise AssertionError("not reached")
    with pytest.raises(UnavailableError, match="no such interface"):
        store.load(name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_names_with_other_letters_are_names(store: Store) -> None:
    with store.lock("büro0"):
        assert store.load("büro0") is None


def test_a_full_disk_does_not_keep_from_restoring(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    nic = FakeNic(hardware())
    apply(nic, store)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "fsync", full)
    with store.lock(nic.ifname):
        assert Tuner(nic, store, quiet).restore().remaining == ()
    assert same_as_before(nic, store)


def test_a_folder_that_became_read_only_stops_the_change(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def turn(write: int, _: AnySetting) -> None:
        if write == 3:
            for name in ("rename", "unlink"):
                monkeypatch.setattr(Path, name, refuse)

    nic = FakeNic(hardware(), turn)
    with pytest.raises(BypassError, match="Read-only"):
        apply(nic, store)
    assert settings_in(nic.seen) == settings_in(hardware())
    monkeypatch.undo()
    assert Tuner(nic, store, quiet).restore().remaining == ()


def test_a_lock_file_of_whatever_content_is_no_traceback(store: Store) -> None:
    with store.lock("eth9"):
        next(store.folder.glob("*.lock")).write_bytes(b"\xff\xfe")
        with pytest.raises(UnavailableError, match="process"), store.lock("eth9"):
            raise AssertionError("not reached")


def test_a_journal_of_another_version_is_not_guessed_at(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store)
    journal = store.load(nic.ifname)
    assert journal is not None
    store.save(msgspec.structs.replace(journal, version=2))
    with pytest.raises(BypassError, match="not a journal of this version"):
        store.load(nic.ifname)


def test_a_server_of_before_the_restart_is_not_taken_to_run(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store)
    journal = store.load(nic.ifname)
    assert journal is not None
    served = msgspec.structs.replace(journal, owner=this_owner("serve"))
    assert served.server_runs
    assert not msgspec.structs.replace(served, boot_id="another").server_runs
    assert not journal.server_runs


# -- what the kernel says


def test_answers_that_change_while_they_are_read_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that grew between the question for its size and the one for its content; a NIC in reset."""
    answers: list[Exception | Snapshot] = [OSError(errno.EINVAL, ""), OSError(errno.EBUSY, ""), hardware()]

    def look(_: str) -> Snapshot:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(inspect, "_look", look)
    monkeypatch.setattr(time, "sleep", quiet)
    assert inspect.take_snapshot("eth9") == hardware()
    answers = [OSError(errno.EBUSY, "Device or resource busy") for _ in range(99)]
    with pytest.raises(UnavailableError, match=r"eth9: cannot be read \(EBUSY\)"):
        inspect.take_snapshot("eth9")


class HashDevice:
    """Has one set of hash fields."""

    def __init__(self, bits: int) -> None:
        self.bits, self.written = bits, 0

    def ask(self, command: bytes) -> bytes:
        return self.request(command)

    def request(self, command: bytes) -> bytes:
        number, flow, data = RXNFC.unpack_from(command)[:3]
        if number == ethtool.SRXFH:
            self.written = data
        return RXNFC.pack(number, flow, self.bits, 0, b"", b"", b"", b"", 0, 0, 0)


def test_hash_fields_that_we_do_not_know_survive() -> None:
    device = HashDevice(HASH_FIELDS["ip-source"] | 1 << 9 | 1 << 31)
    fields = read_hash_fields(device, "tcp6")  # type: ignore[arg-type]
    assert fields is not None
    write_hash_fields(device, "tcp6", fields)  # type: ignore[arg-type]
    assert device.written == device.bits


def test_rules_that_drop_or_lead_to_a_virtual_function_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    drops = FlowRule(location=5, flow="tcp4", queue=None, destination_port=80)
    ours = FlowRule(location=6, flow="tcp4", queue=1, destination_port=80)
    rules, deleted = FlowRules(None), list[bytes]()  # type: ignore[arg-type]
    monkeypatch.setattr(rules, "read", lambda: (drops, ours))
    monkeypatch.setattr(rules, "_device", type("D", (), {"request": staticmethod(deleted.append)}))
    rules.put(PortRule(flow="tcp4", port=80, queue=None))
    assert [RXNFC.unpack_from(request)[9] for request in deleted] == [6]
    value = bytes(10) + struct.pack("!H", 80)
    elsewhere = RXNFC.pack(
        0x2F, 0, 0, FLOWS["tcp4"], value, b"", bytes(10) + b"\xff\xff", b"", 1 << 32 | 2, 7, 0
    )
    assert decode_rule(elsewhere).destination_port is None


def test_more_huge_pages_than_memory_are_refused_before_the_kernel_tries() -> None:
    seen = hardware()
    machine = msgspec.structs.replace(seen.machine, available_bytes=64 << 20)
    seen = msgspec.structs.replace(seen, machine=machine)
    make_plan(seen, Wish(hugepages=32), recipe_for("mlx5_core"))
    with pytest.raises(UnavailableError, match=r"33 huge pages wanted.*64.0 MiB could be had"):
        make_plan(seen, Wish(hugepages=33), recipe_for("mlx5_core"))


def test_a_recorded_table_without_slots_is_none() -> None:
    seen = hardware()
    assert seen.rss is not None
    seen = msgspec.structs.replace(seen, rss=msgspec.structs.replace(seen.rss, table=()))
    made = make_plan(seen, Wish(workers=2), recipe_for("mlx5_core"))
    assert "indirection" not in {step.after.key for step in made.steps}


def test_lists_of_numbers_are_of_a_size_that_machines_have() -> None:
    assert parse_list("0-3,6") == (0, 1, 2, 3, 6)
    with pytest.raises(ValueError, match="at most"):
        parse_list("0-99999999999")


# -- who would be cut off


def link(name: str, kind: str = "", **attributes: int) -> dict[str, object]:
    return {"ifname": name, "linkinfo": {"kind": kind} if kind else None, **attributes}


def test_what_stands_on_an_interface_would_be_cut_off_with_it() -> None:
    links = {
        2: link("eth0"),
        3: link("eth0.7", "vlan", link=2),
        4: link("br0", "bridge"),
        5: link("mac0", "macvlan", link=3, master=4),
        6: link("veth0", "veth", link=2),
        7: link("far", "vlan", link=2, link_netnsid=0),
    }
    assert carried(2, links) == {2, 3, 4, 5}
    assert carried(5, links) == {4, 5}


def test_sudo_does_not_hide_the_ssh_session() -> None:
    """It takes SSH_CONNECTION out of the environment; the shell before it still has it."""
    code = "from bypass.nic.guard import ssh_connection; print(ssh_connection({}))"
    session = "192.0.2.1 50000 192.0.2.2 22"
    shell = ["sh", "-c", 'env -i "$0" -c "$1"; true', sys.executable, code]
    environment = {**os.environ, "SSH_CONNECTION": session}
    done = subprocess.run(shell, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == session, done.stderr
    assert ssh_connection({"SSH_CONNECTION": "own"}) == "own"


def test_a_script_of_odd_names_does_nothing_else() -> None:
    seen = hardware(driver="x\nreboot")
    seen = msgspec.structs.replace(seen, link=msgspec.structs.replace(seen.link, name="a;reboot", mac="\nx"))
    made = make_plan(seen, Wish(workers=2, busy_poll=True, threaded=True), recipe_for("generic"))
    text = script(made, seen)
    assert "ethtool -L 'a;reboot' combined 2" in text
    for line in text.splitlines():
        assert line.startswith("#") or "reboot" not in [w.strip() for w in split_outside_quotes(line)], line
    assert "\nx\n" not in link_file(made, seen) and "\nreboot" not in link_file(made, seen)


def split_outside_quotes(line: str) -> list[str]:
    """Commands that the shell sees in a line."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in words:
        if word in (";", "&&", "|", "&"):
            found.append([])
        else:
            found[-1].append(word)
    return [one[0] for one in found if one]


@pytest.fixture
def oddly_named() -> Iterator[int]:
    """A process whose name is not text, as anybody may have one; its number."""
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'\\xff) 1', 0, 0, 0); print(flush=True)"
    code += "; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"\n"
        yield process.pid
        process.kill()


def test_a_process_of_somebody_else_cannot_keep_from_looking(oddly_named: int) -> None:
    assert not sysfiles.process_named("no such process")
    assert sysfiles.xdp_links(1 << 30) == {}
    assert start_ticks(oddly_named) > 0
    assert Owner(kind="serve", pid=oddly_named, started=start_ticks(oddly_named)).alive
