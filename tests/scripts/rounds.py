"""`round 40ms x 18..22`: a peer that acknowledges each segment a round trip after it came, for scripts about
windows over time. The segments that came meanwhile are those of the next round; so many shall they be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scripts.matching import fits, mistakes, words
from tests.scripts.steps import Step, read_step
from tests.scripts.values import nanoseconds

if TYPE_CHECKING:
    from tests.scripts.play import Play


def play_round(play: Play, step: Step) -> None:
    """ScriptError: other segments than of octets, or not so many. ValueError: no such step."""
    rtt, _, wanted = step.rest.partition(" x ")
    rtt_ns = nanoseconds(rtt)
    if rtt_ns is None or not wanted:
        raise ValueError("a round is as `round 40ms x 18..22`")
    due, play.one.arrivals = play.one.arrivals, []
    for at_ns, end in due:
        _collect(play, step, at_ns + rtt_ns)
        play.acknowledge(step, end)
    _collect(play, step, play.wire.now() + rtt_ns // 2)
    if not fits(wanted, len(play.one.arrivals), play.value, play.bound):
        raise play.wrong(step, step.text, f"{len(play.one.arrivals)} segments")


def _collect(play: Play, step: Step, until_ns: int) -> None:
    expected = read_step(play.script.path, step.line, "> A len 1..65535")
    while (seen := play.wire.receive(until_ns)) is not None:
        found = mistakes(expected, seen, play.one, 0, play.value, play.bound)
        if found:
            raise play.wrong(step, "octets", f"{', '.join(found)} in {words(seen, play.one)}")
        play.take(expected, seen, 0)
