"""Applying and restoring on a NIC of numbers: at whatever step it fails, all is as before."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import msgspec
import pytest

from bypass.errors import BypassError, ExitCode
from bypass.nic.journal import Store, this_owner
from bypass.nic.outcome import Applied
from bypass.nic.planner import Wish
from bypass.nic.recipes import recipe_for
from bypass.nic.settings import Affinity, AnySetting, Channels, Coalesce, Feature, Rings, Table
from bypass.nic.snapshot import Irq, Snapshot, settings_in
from bypass.nic.tuner import Tuner
from tests.nic.fakenic import FakeNic, hardware

SHRINK = Wish(workers=2, busy_poll=True, hugepages=64, vlan=True, threaded=True)
GROW = Wish(workers=12, busy_poll=True)
RULE = Wish(workers=1, port=80, busy_poll=True)
WISHES = pytest.mark.parametrize("wish", [SHRINK, GROW, RULE], ids=["shrink", "grow", "rule"])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Does not wait for the disk: no test here loses power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Store(tmp_path)


def quiet(_: str) -> None:
    """Notices are looked at elsewhere."""


def apply(nic: FakeNic, store: Store, wish: Wish) -> Applied:
    recipe = recipe_for(nic.seen.link.driver)
    return Tuner(nic, store, quiet).apply(wish, recipe, this_owner("apply"))


def steps_of(wish: Wish, store: Store) -> int:
    nic = FakeNic(hardware())
    apply(nic, store, wish)
    store.remove(nic.ifname)
    return len(nic.writes)


@WISHES
def test_apply_verify_restore_is_a_round_trip(wish: Wish, store: Store) -> None:
    nic = FakeNic(hardware())
    before = nic.seen
    applied = apply(nic, store, wish)
    assert len(applied.steps) == len(nic.writes) > 4
    assert nic.seen != before
    journal, drifted = Tuner(nic, store, quiet).verify()
    assert journal is not None and journal.phase == "applied"
    assert drifted == []
    restored = Tuner(nic, store, quiet).restore()
    assert restored.remaining == ()
    assert settings_in(nic.seen) == settings_in(before)
    assert store.load(nic.ifname) is None


@WISHES
def test_a_second_apply_does_nothing(wish: Wish, store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, wish)
    writes = len(nic.writes)
    assert apply(nic, store, wish).steps == ()
    assert len(nic.writes) == writes


@WISHES
def test_a_failure_at_each_step_in_turn_puts_everything_back(wish: Wish, store: Store) -> None:
    for failing in range(1, steps_of(wish, store) + 1):
        broken: list[AnySetting] = []
        nic = FakeNic(hardware(), partial(fail_once, failing, broken))
        before = nic.seen
        with pytest.raises(BypassError, match=r"EIO.*Everything is as it was before"):
            apply(nic, store, wish)
        assert broken
        assert settings_in(nic.seen) == settings_in(before), f"step {failing}, {broken[0].key}"
        assert store.load(nic.ifname) is None


def fail_once(failing: int, broken: list[AnySetting], number: int, setting: AnySetting) -> None:
    if number == failing and not broken:
        broken.append(setting)
        raise OSError(errno.EIO, "made to fail")


@WISHES
def test_death_between_any_two_steps_is_mended_by_a_restore(wish: Wish, store: Store) -> None:
    class Death(BaseException):
        """As SIGKILL: nothing of the tool runs any more."""

    for last in range(1, steps_of(wish, store) + 1):

        def die(number: int, _: AnySetting, last: int = last) -> None:
            if number == last:
                raise Death

        nic = FakeNic(hardware(), die)
        before = nic.seen
        with pytest.raises(Death):
            apply(nic, store, wish)
        nic.before_write = None
        journal, _ = Tuner(nic, store, quiet).verify()
        assert journal is not None and journal.phase == "applying" and journal.doing is not None
        assert Tuner(nic, store, quiet).restore().remaining == ()
        assert settings_in(nic.seen) == settings_in(before)


@WISHES
def test_death_during_a_restore_is_mended_by_the_next(wish: Wish, store: Store) -> None:
    class Death(BaseException):
        """As SIGKILL."""

    writes = 2 * steps_of(wish, store)
    for last in range(1, writes):
        nic = FakeNic(hardware())
        before = nic.seen
        apply(nic, store, wish)
        done = len(nic.writes)

        def die(number: int, _: AnySetting, last: int = done + last) -> None:
            if number == last:
                raise Death

        nic.before_write = die
        try:
            Tuner(nic, store, quiet).restore()
        except Death:
            nic.before_write = None
            assert Tuner(nic, store, quiet).restore().remaining == ()
        assert settings_in(nic.seen) == settings_in(before)
        assert store.load(nic.ifname) is None


def test_what_cannot_be_put_back_is_said_and_kept(store: Store) -> None:
    def stubborn(number: int, setting: AnySetting) -> None:
        if isinstance(setting, Feature) and setting.on:
            raise OSError(errno.EBUSY, "not now")
        if isinstance(setting, Coalesce):
            raise OSError(errno.EIO, "made to fail")

    nic = FakeNic(hardware(), stubborn)
    with pytest.raises(BypassError, match=r"Not put back: feature/rx-lro should be on"):
        apply(nic, store, SHRINK)
    assert store.load(nic.ifname) is not None
    nic.before_write = None
    assert Tuner(nic, store, quiet).restore().remaining == ()
    assert settings_in(nic.seen) == settings_in(hardware())


def test_two_wishes_one_after_the_other_are_undone_together(store: Store) -> None:
    nic = FakeNic(hardware())
    before = nic.seen
    apply(nic, store, SHRINK)
    apply(nic, store, GROW)
    assert nic.seen.channels == Channels(combined=12)
    Tuner(nic, store, quiet).restore()
    left = {key for key, value in settings_in(nic.seen).items() if settings_in(before)[key] != value}
    assert left == set()


def test_settings_of_others_made_meanwhile_are_left_alone(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, Wish(workers=2, irq_affinity="keep"))
    nic.seen = FakeNic(nic.seen)._with(Feature(name="rx-gro", on=False))
    Tuner(nic, store, quiet).restore()
    assert not nic.seen.offloads["rx-gro"].on


def test_drift_is_found_and_named(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, SHRINK)
    nic.seen = FakeNic(nic.seen)._with(Feature(name="rx-lro", on=True))
    _, drifted = Tuner(nic, store, quiet).verify()
    assert [(one.planned.value, one.now and one.now.value) for one in drifted] == [("off", "on")]


def test_a_size_that_the_driver_rounds_is_taken_as_it_became(store: Store) -> None:
    nic = FakeNic(hardware())
    said: list[str] = []
    wish = Wish(rings=1000, irq_affinity="keep")
    Tuner(nic, store, said.append).apply(wish, recipe_for("mlx5_core"), this_owner("apply"))
    assert nic.seen.rings == Rings(rx=1024, tx=1024)
    assert any("1000" in line and "1024" in line for line in said)
    assert apply(nic, store, wish).steps == ()
    assert Tuner(nic, store, quiet).verify()[1] == []
    more = apply(nic, store, Wish(rings=2048, irq_affinity="keep"))
    assert [step.after.key for step in more.steps] == ["rings"]


def test_a_driver_that_makes_something_else_of_a_setting_is_a_failure(store: Store) -> None:
    class Stubborn(FakeNic):
        def write(self, setting: AnySetting, seen: Snapshot) -> None:
            if not isinstance(setting, Feature):
                super().write(setting, seen)

    nic = Stubborn(hardware())
    with pytest.raises(BypassError, match=r"feature/rx-lro off, failed.*accepted it and made on of it"):
        apply(nic, store, SHRINK)


def test_after_a_restart_of_the_machine_there_is_nothing_to_undo(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, SHRINK)
    journal = store.load(nic.ifname)
    assert journal is not None
    store.save(msgspec.structs.replace(journal, boot_id="another"))
    nic.seen = hardware()
    assert "started anew" in Tuner(nic, store, quiet).restore().why
    assert store.load(nic.ifname) is None


def test_of_an_interface_made_anew_only_the_machines_settings_are_put_back(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, SHRINK)
    fresh = hardware()
    nic.seen = msgspec.structs.replace(
        fresh,
        link=msgspec.structs.replace(fresh.link, index=10),
        machine=msgspec.structs.replace(fresh.machine, hugepages=64),
    )
    restored = Tuner(nic, store, quiet).restore()
    assert [change.after.key for change in restored.changed] == ["hugepages"]
    assert "made anew" in restored.why


def test_restoring_where_nothing_was_changed_says_so(store: Store) -> None:
    assert Tuner(FakeNic(hardware()), store, quiet).restore().why == "nothing was changed"


def test_interrupts_of_queues_that_are_not_in_use_are_put_back_too(store: Store) -> None:
    """virtio_net has vectors for every queue, and places them when channels change."""

    class Placing(FakeNic):
        def write(self, setting: AnySetting, seen: Snapshot) -> None:
            super().write(setting, seen)
            if isinstance(setting, Channels):
                moved = {"rx": Irq(number=60, name="virtio0-input.9", cpus=(1,), effective_cpus=(1,))}
                self.seen = msgspec.structs.replace(self.seen, idle_irqs={9: moved})
            elif isinstance(setting, Affinity) and setting.queue == 9:
                back = {"rx": Irq(number=60, name="virtio0-input.9", cpus=setting.cpus, effective_cpus=(0,))}
                self.seen = msgspec.structs.replace(self.seen, idle_irqs={9: back})

        def _with(self, setting: AnySetting) -> Snapshot:
            spare = isinstance(setting, Affinity) and setting.queue == 9
            return self.seen if spare else super()._with(setting)

    idle = {"rx": Irq(number=60, name="virtio0-input.9", cpus=(0, 1), effective_cpus=(0,))}
    before = msgspec.structs.replace(hardware(queues=2), idle_irqs={9: idle})
    nic = Placing(before)
    apply(nic, store, Wish(workers=4))
    assert nic.seen.irq(9, "rx") != idle["rx"]
    assert Tuner(nic, store, quiet).restore().remaining == ()
    assert settings_in(nic.seen) == settings_in(before)


def test_ctrl_c_puts_everything_back_and_ends_with_130(store: Store) -> None:
    def interrupt(number: int, _: AnySetting) -> None:
        if number == 4:
            nic.before_write = None
            raise KeyboardInterrupt

    nic = FakeNic(hardware(), interrupt)
    with pytest.raises(BypassError, match=r"interrupted.*Everything is as it was before") as caught:
        apply(nic, store, SHRINK)
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert settings_in(nic.seen) == settings_in(hardware())


def test_an_even_table_of_the_drivers_own_is_left_as_it_is(store: Store) -> None:
    """One that was written counts as a person's: the kernel then refuses to take away queues it names."""
    nic = FakeNic(hardware())
    apply(nic, store, GROW)
    assert not any(isinstance(setting, Table) for setting in nic.writes)
    assert nic.seen.rss is not None and set(nic.seen.rss.table or ()) == set(range(12))
    assert Tuner(nic, store, quiet).verify()[1] == []


def test_of_two_wishes_a_failure_undoes_the_second_alone(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, SHRINK)
    between, journal = nic.seen, store.load(nic.ifname)
    broken: list[AnySetting] = []
    nic.before_write = partial(fail_once, len(nic.writes) + 3, broken)
    with pytest.raises(BypassError, match="Everything is as it was before"):
        apply(nic, store, GROW)
    assert broken
    assert settings_in(nic.seen) == settings_in(between)
    assert store.load(nic.ifname) == journal
    assert Tuner(nic, store, quiet).verify()[1] == []
    assert Tuner(nic, store, quiet).restore().remaining == ()
    assert settings_in(nic.seen) == settings_in(hardware())


def test_of_two_wishes_the_second_can_be_taken_back(store: Store) -> None:
    nic = FakeNic(hardware())
    apply(nic, store, SHRINK)
    between, journal = nic.seen, store.load(nic.ifname)
    apply(nic, store, RULE)
    assert nic.seen.rules
    assert Tuner(nic, store, quiet).undo().remaining == ()
    assert settings_in(nic.seen) == settings_in(between)
    assert store.load(nic.ifname) == journal
    assert Tuner(nic, store, quiet).undo().remaining == ()
    assert settings_in(nic.seen) == settings_in(hardware())
    assert store.load(nic.ifname) is None


def test_nothing_is_put_on_a_change_that_waits_to_be_confirmed(store: Store) -> None:
    nic = FakeNic(hardware())
    recipe, owner = recipe_for("mlx5_core"), this_owner("apply")
    Tuner(nic, store, quiet).apply(SHRINK, recipe, owner, rollback_after_s=60.0)
    writes = len(nic.writes)
    with pytest.raises(BypassError, match="waits to be confirmed"):
        apply(nic, store, GROW)
    assert len(nic.writes) == writes
    assert apply(nic, store, SHRINK).steps == (), "the same wish changes nothing, so it may come"
    assert Tuner(nic, store, quiet).confirm() is not None
    assert apply(nic, store, GROW).steps


@pytest.mark.parametrize("failing", [2, 4, -1])
def test_a_journal_that_cannot_be_written_stops_the_change(
    store: Store, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """A full disk, from the second, the fourth or the last time on that it is written."""
    last = steps_of(SHRINK, store) + 2 if failing < 0 else failing
    syncs = 0

    def full(_: int) -> None:
        nonlocal syncs
        syncs += 1
        if syncs > 2 * (last - 1):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    nic = FakeNic(hardware())
    with pytest.raises(BypassError, match=r"cannot be written: No space.*Everything is as it was before"):
        apply(nic, store, SHRINK)
    assert bool(nic.writes) == (failing != 2), "it stops before the step that it could not write down"
    assert store.load(nic.ifname) is None
    assert settings_in(nic.seen) == settings_in(hardware())
