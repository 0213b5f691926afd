"""Carries plans out on a NIC, and takes them back.

The way back does not retrace steps: the journal holds every setting as it was, and restoring is going
from what is now to that. So it works from wherever a failed step, a crash or a driver's own idea left it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeGuard

import msgspec

from bypass.errors import BypassError, UnavailableError
from bypass.nic.interrupts import held_off
from bypass.nic.journal import Journal, Owner, Store, boot_id, now_s
from bypass.nic.kernel import Nic
from bypass.nic.order import Change, changes, fitted, look
from bypass.nic.outcome import Applied, Drift, Restored, StepFailed, undone
from bypass.nic.planner import Plan, Step, Wish, make_plan
from bypass.nic.recipes import Recipe
from bypass.nic.settings import (
    GLOBAL_KINDS,
    Affinity,
    AnySetting,
    Coalesce,
    PortRule,
    Rings,
    State,
    Table,
    state_of,
)
from bypass.nic.snapshot import Snapshot, settings_in

ROUNDS = 4
_ROUNDED = (Rings, Coalesce)
"""Kinds where a driver may take the next value that it can do."""

Notice = Callable[[str], None]


class Tuner:
    """One interface and its journal. Callers hold the store's lock."""

    def __init__(self, nic: Nic, store: Store, notice: Notice) -> None:
        self._nic = nic
        self._store = store
        self._notice = notice

    def apply(
        self,
        wish: Wish,
        recipe: Recipe,
        owner: Owner,
        *,
        rollback_after_s: float | None = None,
        on_journal: Callable[[], None] | None = None,
    ) -> Applied:
        """Carries the plan out. BypassError when a step fails: then all is as before, or it says what is not.

        on_journal: called once, when there is something to roll back and before the first change.
        """
        seen = self._nic.snapshot()
        plan = make_plan(seen, wish, recipe)
        journal = self._opened(seen, wish, owner, rollback_after_s)
        steps = _left_to_do(plan, journal)
        if not steps:
            self._finish(journal.previous, owner)
            return Applied(plan, ())
        _require_confirmed(journal.previous)
        self._store.save(journal)
        done: list[Step] = []
        try:
            if on_journal is not None:
                on_journal()
            journal = self._carry_out(steps, journal, wish, recipe, done)
            after = tuple(settings_in(self._nic.snapshot()).values())
            self._store.save(msgspec.structs.replace(journal, phase="applied", doing=None, after=after))
        except (StepFailed, KeyboardInterrupt, BypassError) as failure:
            with held_off():
                raise self._rolled_back(failure, len(done)) from failure
        except Exception:
            with held_off():
                self.undo()
            raise
        return Applied(plan, tuple(done))

    def restore(self) -> Restored:
        """Back to what the journal says was before; the journal is gone when nothing remains to be done."""
        journal = self._store.load(self._nic.ifname)
        if journal is None:
            return Restored(why="nothing was changed")
        return self._return(journal, _way_back(journal, journal.before), None)

    def undo(self) -> Restored:
        """Takes back the last apply alone, which is all of them where there was one."""
        journal = self._store.load(self._nic.ifname)
        if journal is None or journal.previous is None:
            return self.restore()
        return self._return(journal, _way_back(journal, journal.start), journal.previous)

    def verify(self) -> tuple[Journal | None, list[Drift]]:
        """The journal, and where the NIC is not as planned."""
        journal = self._store.load(self._nic.ifname)
        if journal is None:
            return None, []
        now = settings_in(self._nic.snapshot())
        drifted = [
            Drift(planned, look(now, planned)) for planned in journal.planned if look(now, planned) != planned
        ]
        return journal, drifted

    def confirm(self) -> Journal | None:
        """The change stays. None when nothing waits to be confirmed."""
        journal = self._store.load(self._nic.ifname)
        if journal is None or journal.rollback_at_s is None:
            return None
        self._store.save(msgspec.structs.replace(journal, rollback_at_s=None))
        return journal

    # -- forward

    def _opened(self, seen: Snapshot, wish: Wish, owner: Owner, rollback_after_s: float | None) -> Journal:
        """The journal that this apply continues, or a new one."""
        rollback_at_s = None if rollback_after_s is None else now_s() + rollback_after_s
        journal = self._store.load(self._nic.ifname)
        now = settings_in(seen)
        self._require_name(journal)
        if journal is None or not journal.of_this_boot or journal.ifindex != seen.link.index:
            return Journal(
                ifname=self._nic.ifname,
                ifindex=seen.link.index,
                boot_id=boot_id(),
                owner=owner,
                wish=wish,
                phase="applying",
                before=tuple(now.values()),
                rollback_at_s=rollback_at_s,
            )
        # What we have not touched may have been changed by somebody else meanwhile: that is its "before".
        ours = {setting.key for setting in _way_back(journal, journal.before).values()}
        before = {**{key: value for key, value in now.items() if key not in ours}}
        before.update({setting.key: setting for setting in journal.before if setting.key in ours})
        return msgspec.structs.replace(
            journal,
            owner=owner,
            wish=wish,
            phase="applying",
            before=tuple(before.values()),
            after=(),
            previous=msgspec.structs.replace(journal, previous=None, start=()),
            start=tuple(now.values()),
            rollback_at_s=rollback_at_s,
        )

    def _finish(self, journal: Journal | None, owner: Owner) -> None:
        """A change that was cut short behind its last step is whole."""
        if journal is not None and journal.phase == "applying":
            now = settings_in(self._nic.snapshot())
            planned = tuple(found for one in journal.planned if (found := look(now, one)) is not None)
            self._store.save(
                msgspec.structs.replace(
                    journal,
                    owner=owner,
                    phase="applied",
                    doing=None,
                    planned=planned,
                    after=tuple(now.values()),
                )
            )

    def _require_name(self, journal: Journal | None) -> None:
        """UnavailableError when the journal's interface has another name by now."""
        name = self._nic.ifname
        called = self._nic.called(journal.ifindex) if journal is not None and journal.of_this_boot else None
        if called is not None and called != name:
            raise UnavailableError(
                f"{name}: the interface that was changed under this name is called {called} now",
                remedy=f"ip link set {called} name {name}, then bypass nic restore {name}",
            )

    def _carry_out(
        self, steps: list[Step], journal: Journal, wish: Wish, recipe: Recipe, done: list[Step]
    ) -> Journal:
        """Rounds: what new channels bring with them (interrupts, queues) is planned when it is there."""
        for _ in range(ROUNDS):
            for step in steps:
                journal = self._take_step(step, journal, done)
            steps = _left_to_do(make_plan(self._nic.snapshot(), wish, recipe), journal)
            if not steps:
                return journal
        raise StepFailed(steps[0].after, "it does not stay as it is set")

    def _take_step(self, step: Step, journal: Journal, done: list[Step]) -> Journal:
        seen = self._nic.snapshot()
        present = look(settings_in(seen), step.after)
        after = fitted(step.after, present)
        planned = _replaced(journal.planned, after)
        if present == after:
            return msgspec.structs.replace(journal, planned=planned)
        if _as_even(present, after):
            return msgspec.structs.replace(journal, planned=_replaced(planned, present))
        journal = msgspec.structs.replace(
            journal,
            doing=after,
            planned=planned,
            before=_with_absent_rule(journal.before, after),
            start=_with_absent_rule(journal.start, after) if journal.previous else (),
        )
        self._store.save(journal)
        settled = self._write(after, seen)
        done.append(Step(before=present, after=settled, reason=step.reason, warning=step.warning))
        if settled != after:
            self._notice(f"{self._nic.ifname}: {after.key} {after.value} became {settled.value}")
            journal = msgspec.structs.replace(journal, rounded=(*journal.rounded, (after, settled)))
        return msgspec.structs.replace(journal, planned=_replaced(planned, settled))

    def _write(self, setting: AnySetting, seen: Snapshot) -> AnySetting:
        """The value that it has afterwards. StepFailed when the driver refuses it, or makes another of it."""
        try:
            self._nic.write(setting, seen)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            if isinstance(setting, Affinity) and error.errno in (errno.EIO, errno.EPERM):
                why += ", as of interrupts that the kernel places itself (--irq-affinity keep leaves them)"
            raise StepFailed(setting, why, error.errno) from error
        settled = look(settings_in(self._nic.snapshot()), setting)
        if settled is None or (settled != setting and not isinstance(setting, _ROUNDED)):
            made = "nothing" if settled is None else settled.value
            raise StepFailed(setting, f"the driver accepted it and made {made} of it")
        return settled

    # -- back

    def _return(self, journal: Journal, target: State, then: Journal | None) -> Restored:
        """Goes to `target`; then that journal holds, or none."""
        name = self._nic.ifname
        if not journal.of_this_boot:
            self._store.remove(name)
            return Restored(why="the machine was started anew since, which undid the change")
        self._require_name(journal)
        try:
            seen = self._nic.snapshot()
        except UnavailableError:
            if self._nic.called(journal.ifindex) is not None or any(
                isinstance(setting, GLOBAL_KINDS) for setting in target.values()
            ):
                raise
            self._store.remove(name)
            return Restored(why="the interface is gone, and its settings with it")
        why = ""
        if journal.ifindex != seen.link.index:
            target = {key: value for key, value in target.items() if isinstance(value, GLOBAL_KINDS)}
            why, then = "the interface was made anew since, which undid the change", None
        with suppress(BypassError):  # a full disk: the journal that is there leads back as well
            self._store.save(msgspec.structs.replace(journal, phase="restoring"))
        with held_off():
            changed, remaining = self._go_back(target)
        if not remaining and then is None:
            self._store.remove(name)
        elif not remaining and then is not None:
            self._store.save(then)
        return Restored(tuple(changed), tuple(remaining), why)

    def _rolled_back(self, failure: StepFailed | KeyboardInterrupt | BypassError, done: int) -> BypassError:
        """Puts everything back and says so."""
        try:
            restored, trouble = self.undo(), ""
        except BypassError as error:
            restored, trouble = Restored(), str(error)
        return undone(self._nic.ifname, failure, done, restored, trouble)

    def _go_back(self, target: State) -> tuple[list[Change], list[Change]]:
        """What was changed, and what still differs. A step that fails may succeed behind another one."""
        changed: list[Change] = []
        left: list[Change] = []
        for _ in range(ROUNDS):
            progress = False
            for change in changes(settings_in(self._nic.snapshot()), target, back=True):
                progress |= self._put_back(change, changed)
            left = changes(settings_in(self._nic.snapshot()), target, back=True)
            if not left or not progress:
                break
        return changed, left

    def _put_back(self, change: Change, changed: list[Change]) -> bool:
        """Whether something came of it."""
        seen = self._nic.snapshot()
        present = look(settings_in(seen), change.after)
        after = fitted(change.after, present) if isinstance(change.after, Table) else change.after
        if present is None or present == after:
            return False
        try:
            self._write(after, seen)
        except StepFailed:
            return False
        changed.append(Change(present, after))
        return True


def _require_confirmed(previous: Journal | None) -> None:
    """UnavailableError while an earlier change waits for somebody to confirm it."""
    if previous is not None and previous.rollback_at_s is not None:
        raise UnavailableError(
            f"{previous.ifname}: an earlier change waits to be confirmed",
            remedy=f"Keep it (bypass nic confirm {previous.ifname}) or undo it (restore) first",
        )


def _left_to_do(plan: Plan, journal: Journal) -> list[Step]:
    """Steps that are not carried out yet; what a driver made of it when asked before counts as reached."""
    return [step for step in plan.steps if (step.after, step.before) not in journal.rounded]


def _as_even(present: AnySetting | None, wanted: AnySetting) -> TypeGuard[Table]:
    """A driver's own table over the same queues: one that was written counts as a person's to the kernel,
    which then refuses to take queues away that it names."""
    if not isinstance(present, Table) or not isinstance(wanted, Table):
        return False
    shares = {queue: present.queues.count(queue) for queue in present.queues}
    return set(shares) == set(wanted.queues) and max(shares.values()) - min(shares.values()) <= 1


def _way_back(journal: Journal, base: tuple[AnySetting, ...]) -> State:
    """What has to be set to come to `base`: all that we touched, and what came to differ by it.

    While steps are under way everything counts, since a driver may have changed more than was asked for.
    """
    before, after = state_of(base), state_of(journal.after)
    touched = {setting.key for setting in journal.planned}
    return {
        key: value
        for key, value in before.items()
        if key in touched
        or (not isinstance(value, GLOBAL_KINDS) and (not journal.after or after.get(key) != value))
    }


def _replaced(settings: tuple[AnySetting, ...], new: AnySetting) -> tuple[AnySetting, ...]:
    return (*(setting for setting in settings if setting.key != new.key), new)


def _with_absent_rule(before: tuple[AnySetting, ...], setting: AnySetting) -> tuple[AnySetting, ...]:
    """A rule that was not there is nothing in a snapshot, but something to go back to."""
    if isinstance(setting, PortRule) and all(one.key != setting.key for one in before):
        return (*before, PortRule(flow=setting.flow, port=setting.port, queue=None))
    return before
