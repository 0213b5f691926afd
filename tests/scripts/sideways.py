"""Scripts against Linux side by side: they mostly wait, and time is real there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self

from tests.scripts.claims import ClaimWire
from tests.scripts.clients import linux_dial
from tests.scripts.language import Script
from tests.scripts.linux import LinuxLab, LinuxWire, run_before_others
from tests.scripts.play import Play
from tests.scripts.values import ScriptError

AT_ONCE = 12
PLAYS_MOST = 3
AS_WRITTEN = "test_linux"
AS_START = "test_a_start_of_ours"
AS_OURS = "test_the_disagreement_still_exists"
"""The tests, and so the kinds of play: with the steps for Linux, for our start, or for our engine."""


class Plays:
    """Every play of a session, under way from the start, the longest first."""

    def __init__(self, lab: LinuxLab, wanted: Sequence[tuple[str, Script]]) -> None:
        self.lab, self.wanted = lab, wanted
        self._closing = contextlib.ExitStack()
        self._futures: dict[tuple[str, str], Future[None]] = {}

    def __enter__(self) -> Self:
        pool = ThreadPoolExecutor(AT_ONCE, initializer=run_before_others)
        self._pool = self._closing.enter_context(pool)
        self._closing.callback(pool.shutdown, wait=True, cancel_futures=True)
        for kind, script in sorted(self.wanted, key=lambda one: -one[1].stated_ns):
            self._futures[kind, script.path.name] = pool.submit(self._play, kind, script)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _play(self, kind: str, script: Script) -> None:
        side = "ours" if kind == AS_OURS else None
        if script.claims:
            with ClaimWire(self.lab, script.version) as wire:
                Play(script, wire).run()
        elif script.opens:
            with linux_dial(self.lab, script.engine, script.version) as client:
                Play(script, client, side).run()
        else:
            congestion = str(script.engine.get("congestion", "newreno"))
            Play(script, LinuxWire(self.lab, script.version, congestion), side).run()

    def _future(self, kind: str, script: Script, *, again: bool) -> Future[None]:
        """again: when no other is under way any more."""
        if not again:
            return self._futures[kind, script.path.name]
        wait(self._futures.values())
        return self._pool.submit(self._play, kind, script)

    def result(self, kind: str, script: Script) -> None:
        """Waits for a play. ScriptError: it did not go as written, nor when it was played again: a busy
        machine is late, but what Linux does otherwise it does each time."""
        plays = 1 if kind == AS_OURS else PLAYS_MOST
        for number in range(1, plays + 1):
            try:
                self._future(kind, script, again=number > 1).result()
            except ScriptError:
                if number == plays:
                    raise
            else:
                return
