"""The order of changes, forwards and back: no step is refused because of a later one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bypass.nic.order import changes, fitted, look
from bypass.nic.settings import (
    Affinity,
    AnySetting,
    Channels,
    Feature,
    PortRule,
    QueueNapi,
    Rings,
    State,
    Table,
    spread,
    state_of,
)

QUIET = QueueNapi(queue=0, defer_hard_irqs=0, gro_flush_timeout_ns=0)
BEFORE: list[AnySetting] = [
    Feature(name="rx-ntuple-filter", on=False),
    Channels(combined=4),
    Rings(rx=256, tx=256),
    Affinity(queue=0, side="rx", cpus=(0, 1)),
    QUIET,
]
AFTER: list[AnySetting] = [
    QueueNapi(queue=0, defer_hard_irqs=2, gro_flush_timeout_ns=200_000),
    PortRule(flow="tcp4", port=80, queue=1),
    Affinity(queue=0, side="rx", cpus=(1,)),
    Rings(rx=512, tx=512),
    Channels(combined=2),
    Feature(name="rx-ntuple-filter", on=True),
]


def keys(current: State, target: State, *, back: bool = False) -> list[str]:
    return [change.after.key for change in changes(current, target, back=back)]


def test_the_way_back_is_the_way_there_reversed() -> None:
    before, after = state_of(BEFORE), state_of(AFTER)
    there = keys(before, after)
    assert there == ["feature/rx-ntuple-filter", "channels", "rings", "irq/rx-0", "napi/0", "rule/tcp4-80"]
    undone = before | state_of([PortRule(flow="tcp4", port=80, queue=None)])
    assert keys(before | after, undone, back=True) == there[::-1]


def test_what_is_so_already_is_no_change_and_an_absent_rule_is_a_value() -> None:
    before = state_of(BEFORE)
    assert changes(before, before) == []
    absent = PortRule(flow="tcp4", port=80, queue=None)
    assert changes(before, state_of([absent])) == []
    assert look(before, absent) == absent
    assert look(before, Rings(rx=1, tx=1)) == Rings(rx=256, tx=256)
    assert look(state_of([]), Rings(rx=1, tx=1)) is None


@given(st.integers(1, 16), st.integers(1, 16), st.data())
def test_no_step_leaves_a_table_that_names_a_queue_which_is_not_there(
    now: int, then: int, data: st.DataObject
) -> None:
    """Played on a device that refuses it, in either direction."""
    table = Table(queues=tuple(data.draw(st.lists(st.integers(0, now - 1), min_size=8, max_size=8))))
    there: State = state_of([Channels(combined=now), table])
    wanted: State = state_of([Channels(combined=then), spread(8, range(then))])
    for back in (False, True):
        device = dict(there)
        for change in changes(there, wanted, back=back):
            device[change.after.key] = change.after
            held, channels = device["indirection"], device["channels"]
            assert isinstance(held, Table) and isinstance(channels, Channels)
            assert max(held.queues) < channels.receive
        assert device == wanted


def test_a_table_is_cut_to_the_slots_there_are() -> None:
    assert fitted(spread(128, (0, 2)), spread(64, (0,))) == spread(64, (0, 2))
    assert fitted(spread(128, (0, 2)), spread(128, (0,))) == spread(128, (0, 2))
    assert fitted(QUIET, None) == QUIET
