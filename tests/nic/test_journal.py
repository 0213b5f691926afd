"""The folder of journals: what is kept, who is kept out, and what happens when nobody confirms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bypass.errors import BypassError, PrivilegeError, UnavailableError
from bypass.nic.guard import require_expendable
from bypass.nic.journal import Journal, Owner, Store, now_s, start_ticks, this_owner
from bypass.nic.planner import Wish
from bypass.nic.recipes import recipe_for
from bypass.nic.snapshot import settings_in
from bypass.nic.tuner import Tuner
from bypass.nic.watchdog import settle_overdue, watch
from tests.nic.fakenic import FakeNic, hardware


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def applied(nic: FakeNic, store: Store, rollback_after_s: float | None = None) -> Journal:
    tuner = Tuner(nic, store, lambda _: None)
    tuner.apply(
        Wish(workers=2),
        recipe_for("mlx5_core"),
        this_owner("apply"),
        rollback_after_s=rollback_after_s,
    )
    journal = store.load(nic.ifname)
    assert journal is not None
    return journal


def test_a_journal_is_read_back_as_it_was_written(store: Store) -> None:
    journal = applied(FakeNic(hardware()), store, 60.0)
    assert store.load("eth9") == journal
    assert journal.version == 1 and journal.phase == "applied" and journal.of_this_boot
    assert [path.suffix for path in store.folder.iterdir()] == [".json"], "no draft is left"


def test_it_is_on_disk_before_each_step(store: Store) -> None:
    seen = []

    def look(number: int, setting: object) -> None:
        journal = store.load("eth9")
        assert journal is not None
        seen.append(journal.doing == setting and journal.phase == "applying" and journal.before != ())

    applied(FakeNic(hardware(), look), store)
    assert len(seen) > 4 and all(seen)


def test_a_file_that_is_no_journal_is_an_error_that_names_it(store: Store) -> None:
    applied(FakeNic(hardware()), store)
    (path,) = store.folder.glob("*.json")
    path.write_text('{"version": 1}')
    with pytest.raises(BypassError, match=f"{path.name}: not a journal"):
        store.load("eth9")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BypassError, match="--state-dir"), Store(tmp_path / "file" / "folder").lock("eth9"):
        raise AssertionError("not reached")


def test_the_lock_names_who_holds_it(store: Store) -> None:
    with store.lock("eth9"):
        with pytest.raises(UnavailableError, match=f"process {os.getpid()}"), store.lock("eth9"):
            raise AssertionError("not reached")
        with store.lock("eth8"):
            pass
    with store.lock("eth9"):
        pass


def test_an_owner_is_told_from_another_process_of_its_number() -> None:
    mine = this_owner("serve")
    assert mine.alive
    assert not msgspec.structs.replace(mine, started=mine.started + 1).alive
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
        assert not Owner(kind="serve", pid=process.pid, started=1).alive
    assert start_ticks(process.pid) == -1


def test_what_is_not_confirmed_in_time_is_undone_at_the_next_look(store: Store) -> None:
    nic, said = FakeNic(hardware()), list[str]()
    journal = applied(nic, store, 60.0)
    assert not settle_overdue(store, nic, said.append)
    store.save(msgspec.structs.replace(journal, rollback_at_s=now_s() - 1))
    assert settle_overdue(store, nic, said.append)
    assert settings_in(nic.seen) == settings_in(hardware())
    assert "not confirmed in time and is undone" in said[0]


def test_the_watchdog_undoes_and_ends(store: Store) -> None:
    nic, said = FakeNic(hardware()), list[str]()
    applied(nic, store, 0.3)
    watch(store, nic, said.append)
    assert settings_in(nic.seen) == settings_in(hardware())
    assert store.load(nic.ifname) is None and len(said) == 1


@pytest.mark.parametrize("how", ["confirmed", "restored"])
def test_the_watchdog_ends_when_nothing_waits_any_more(store: Store, how: str) -> None:
    nic = FakeNic(hardware())
    applied(nic, store, 60.0)
    tuner = Tuner(nic, store, lambda _: None)
    if how == "confirmed":
        assert tuner.confirm() is not None
    else:
        tuner.restore()
    watch(store, nic, lambda text: pytest.fail(text))
    assert tuner.confirm() is None


def test_the_interface_that_people_need_takes_force() -> None:
    require_expendable("eth9", (), force=False)
    require_expendable("eth9", ("the default route",), force=True)
    with pytest.raises(BypassError, match="the default route and this SSH session: not changed"):
        require_expendable("eth9", ("the default route", "this SSH session"), force=False)


def test_a_folder_of_roots_says_what_is_missing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PrivilegeError, match="sudo"), store.lock("eth9"):
        raise AssertionError("not reached")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PrivilegeError, match="cannot be read"):
        store.load("eth9")
