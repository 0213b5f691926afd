"""In what order settings go from one state to another, so that no step is refused because of a later one.

Pure. A queue that the indirection table names cannot be taken away: the table is shrunk before the channels,
and written again behind them, since drivers make a new one when channels change.
"""

from __future__ import annotations

from dataclasses import dataclass

from bypass.nic.settings import (
    Affinity,
    AnySetting,
    Channels,
    Coalesce,
    DeviceNapi,
    Feature,
    HashFields,
    HugePages,
    PortRule,
    QueueNapi,
    Rings,
    State,
    Steering,
    Table,
    Threaded,
    spread,
)

_ORDER = (
    HugePages,
    Feature,
    Channels,
    Table,
    HashFields,
    Rings,
    Coalesce,
    Affinity,
    Steering,
    DeviceNapi,
    Threaded,
    QueueNapi,
    PortRule,
)


@dataclass(frozen=True, slots=True)
class Change:
    """From one value of a setting to another; before None: the setting comes to be with the channels."""

    before: AnySetting | None
    after: AnySetting


def look(state: State, setting: AnySetting) -> AnySetting | None:
    """The state's value of the same setting; None where there is no such thing to set."""
    found = state.get(setting.key)
    if found is None and isinstance(setting, PortRule):
        return PortRule(flow=setting.flow, port=setting.port, queue=None)
    return found


def changes(current: State, target: State, *, back: bool = False) -> list[Change]:
    """What leads from `current` to `target`; keys that `target` lacks stay. back: on the way back."""
    wanted = [setting for setting in target.values() if look(current, setting) != setting]
    order = {kind: place for place, kind in enumerate(_ORDER)}
    wanted.sort(key=lambda setting: -order[type(setting)] if back else order[type(setting)])
    found = [Change(look(current, setting), setting) for setting in wanted]
    return _with_table_around_channels(found, current, target)


def fitted(setting: AnySetting, current: AnySetting | None) -> AnySetting:
    """A table cut to the number of slots that there are now: with the channels it can change."""
    if isinstance(setting, Table) and isinstance(current, Table) and setting.queues:
        slots = len(current.queues)
        if slots != len(setting.queues):
            return spread(slots, sorted(set(setting.queues)))
    return setting


def _with_table_around_channels(found: list[Change], current: State, target: State) -> list[Change]:
    channels = next((change for change in found if isinstance(change.after, Channels)), None)
    table = current.get("indirection")
    if channels is None or not isinstance(table, Table):
        return found
    assert isinstance(channels.after, Channels)
    wanted = target.get("indirection")
    wanted = wanted if isinstance(wanted, Table) else table
    left = channels.after.receive
    if max(wanted.queues) >= left:
        wanted = spread(len(wanted.queues), range(left))
    around: list[Change] = [channels]
    # Behind the channels, whatever is there by then.
    if max(table.queues) >= left:
        around.insert(0, Change(table, wanted))
        around.append(Change(wanted, wanted))
    else:
        around.append(Change(table, wanted))
    rest = [change for change in found if not isinstance(change.after, Channels | Table)]
    place = next(place for place, change in enumerate(found) if isinstance(change.after, Channels | Table))
    before = sum(not isinstance(change.after, Channels | Table) for change in found[:place])
    return [*rest[:before], *around, *rest[before:]]
