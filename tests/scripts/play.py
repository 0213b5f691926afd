"""Plays a script against a server behind a Wire: sends its frames, matches what comes back, in time."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace

from tests.engine.peer import get_request
from tests.scripts.language import Script
from tests.scripts.making import Conversation, made_arp, made_icmp, made_tcp
from tests.scripts.matching import (
    actual_values,
    another_connection,
    fits,
    is_capture,
    mistakes,
    octets,
    words,
)
from tests.scripts.rounds import play_round
from tests.scripts.steps import Step, read_step
from tests.scripts.values import MS, ScriptError, evaluate, holds
from tests.scripts.wire import Seen, Wire

MAYBE_NS = 170 * MS
"""What may come is waited for no longer than this, which is less than a retransmission timeout."""
END_NS = 20 * MS
"""So long nothing may come behind the last step."""


class Play:
    """Conversations of one script. side: whose steps are played, by default those of the wire's server."""

    def __init__(self, script: Script, wire: Wire, side: str | None = None) -> None:
        self.script, self.wire, self.side = script, wire, side or wire.side
        self.start_ns = self.event_ns = 0
        self.one = Conversation(wire.link, wire.port, wire.server_port, req=wire.request_bytes)
        self.conversations = {"a": self.one}
        self.names = {
            "us": int.from_bytes(wire.link.source, "big"),
            "them": int.from_bytes(wire.link.destination, "big"),
            "usmac": int.from_bytes(wire.link.source_mac, "big"),
            "themmac": int.from_bytes(wire.link.destination_mac, "big"),
            "everyone": (1 << 48) - 1,
            "wrap": 1 << 32,
        }
        self.counted: dict[str, int] = {}
        self.held: Seen | None = None
        for step in script.steps:
            if step.kind == "count":
                self.counted[step.rest.split()[0]] = wire.count(step.rest.split()[0]) or 0

    def run(self) -> None:
        """ScriptError: the first step that did not go as written."""
        for step in self.script.steps:
            if step.only in (None, self.side):
                try:
                    self._play(step)
                except (ValueError, SyntaxError, OverflowError) as error:
                    raise self.wrong(step, step.text, str(error)) from None
        self._end(self.script.steps[-1], self.wire.now() + END_NS)

    def _play(self, step: Step) -> None:
        if step.kind == "<":
            self._send(step)
        elif step.kind == "none":
            assert step.when is not None
            self._quiet_until(step, self.wire.now() + step.when.low_ns)
        elif step.kind == "pass":
            assert step.when is not None
            until = self.wire.now() + step.when.low_ns
            while (seen := self._receive(until)) is not None:
                if seen.proto == "tcp" and not another_connection(seen, self.one):
                    take_numbers(self.one, seen)
            self.event_ns = until
        elif step.kind in (">", ">?"):
            self._expect(step)
        else:
            self._do(step)

    def _do(self, step: Step) -> None:
        """A step that is no frame."""
        if step.when is not None:
            self._wait(step)
        if step.kind in ("conn", "dial"):
            self._converse(step)
        elif step.kind == "let":
            name, _, text = step.rest.partition("=")
            self.names[name.strip()] = self.value(text)
        elif step.kind == "check":
            if not holds(step.rest, self._scope()):
                shown = {name: self._scope()[name] for name in self._scope() if name in step.rest.split()}
                raise self.wrong(step, step.rest, str(shown))
        elif step.kind == "round":
            play_round(self, step)
        elif step.kind == "restart":
            self.wire.restart(self.value(step.rest))
            self.counted = dict.fromkeys(self.counted, 0)
        elif self.side == self.wire.side == "ours":
            self._ask(step)

    def _converse(self, step: Step) -> None:
        """conn NAME [from ADDRESS] [to ADDRESS] [port N]: a connection of the script's, or the one before."""
        name, *rest = step.rest.split()
        if name not in self.conversations:
            given = {key: self.value(text) for key, text in zip(rest[::2], rest[1::2], strict=True)}
            first = self.conversations["a"]
            size = len(first.link.source)
            link = replace(
                first.link,
                source=given.pop("from", self.names["us"]).to_bytes(size, "big"),
                destination=given.pop("to", self.names["them"]).to_bytes(size, "big"),
            )
            port, server_port = first.port, self.wire.dial() if step.kind == "dial" else first.server_port
            if step.kind == "conn":
                port = given.pop("port", port + len(self.conversations))
            self.conversations[name] = Conversation(link, port, server_port, req=self.wire.request_bytes)
            if given:
                raise ValueError(f"from, to or port, not {', '.join(given)}")
        self.one = self.conversations[name]

    def _ask(self, step: Step) -> None:
        """What our engine tells of itself: counters since the start, states of a client."""
        name, _, text = step.rest.partition(" ")
        if step.kind == "count":
            got = (self.wire.count(name) or 0) - (self.counted[name] if name != "open" else 0)
            if not fits(text.strip(), got, self.value, self.bound):
                raise self.wrong(step, step.text, str(got))
        elif name not in (self.wire.state(self.one.server_port) or ()):
            raise self.wrong(step, step.text, str(self.wire.state(self.one.server_port)))

    # ---- values ----

    def _scope(self) -> ChainMap[str, int]:
        one = self.one
        own = {"snd": one.snd, "rcv": one.rcv, "req": one.req, "resp": one.resp}
        own["now"] = self.wire.now() // 1000
        return ChainMap(own, self.names)

    def value(self, text: str) -> int:
        return evaluate(text, self._scope())

    def bound(self, name: str) -> bool:
        return name in self._scope()

    # ---- times ----

    def _due(self, step: Step, *, must: bool) -> tuple[int, int]:
        """Earliest and latest moment of a step that must come, or may."""
        if step.when is None:
            wait_ns = self.wire.prompt_ns if must else min(self.wire.prompt_ns, MAYBE_NS)
            return self.event_ns, self.event_ns + wait_ns
        base = self.start_ns if step.when.absolute else self.event_ns
        low, high = step.when.low_ns, step.when.high_ns
        early = self.wire.slack(low, early=True) if step.when.exact else 0
        late = self.wire.slack(high, early=False) if step.when.exact else 0
        return base + low - early, base + high + late

    def _receive(self, until_ns: int) -> Seen | None:
        if self.held is not None:
            seen, self.held = self.held, None
            return seen
        return self.wire.receive(until_ns)

    def _quiet_until(self, step: Step, until_ns: int) -> None:
        seen = self._receive(until_ns)
        if seen is not None:
            raise self.wrong(step, "no segment", words(seen, self.one))

    def _end(self, step: Step, until_ns: int) -> None:
        """Nothing comes behind the last step; but Linux may repeat what nobody acknowledged."""
        while (seen := self._receive(until_ns)) is not None:
            if self.wire.side == "ours" or not repeats(self.one, seen):
                raise self.wrong(step, "no segment", words(seen, self.one))

    def _wait(self, step: Step) -> None:
        """Until a step of ours is due; nothing may come before."""
        assert step.when is not None
        base = self.start_ns if step.when.absolute else self.event_ns
        self._quiet_until(step, base + step.when.low_ns)

    # ---- sending ----

    def _send(self, step: Step) -> None:
        if step.when is not None:
            self._wait(step)
        if "new" in step.fields:
            self.one.irs = None
        times = self.value(step.fields["x"][0]) if "x" in step.fields else 1
        for _ in range(times):
            frame = self._frame(step)
            self.event_ns = self.wire.now()
            self.wire.send(frame)

    def _frame(self, step: Step) -> bytes:
        if step.proto == "arp":
            return made_arp(step, self.one, self.value)
        if step.proto == "icmp":
            return made_icmp(step, self.one, self.value)
        return made_tcp(step, self.one, self._payload(step), self.wire.now() - self.start_ns, self.value)

    def _payload(self, step: Step) -> bytes:
        if "get" in step.fields:
            request = get_request(step.fields["get"][0], close="close" in step.fields)
            times = self.value(step.fields["times"][0]) if "times" in step.fields else 1
            self.one.req, self.one.resp = len(request), len(self.wire.responses[request])
            return request * times
        if "data" in step.fields:
            return octets(step.fields["data"][0])
        return b"x" * self.value(step.fields["len"][0]) if "len" in step.fields else b""

    def acknowledge(self, step: Step, end: int) -> None:
        self._send(read_step(self.script.path, step.line, f"< A ack {end}"))

    # ---- matching ----

    def _expect(self, step: Step) -> None:
        least, _, most = step.fields.get("x", ("1",))[0].partition("..")
        must = 0 if step.kind == ">?" else self.value(least)
        offset = 0
        for number in range(self.value(most or least)):
            earliest, latest = self._due(step, must=number < must)
            seen = self._receive(latest)
            if seen is None and number >= must:
                return
            if seen is None:
                raise self.wrong(step, step.text, f"nothing within {(latest - self.event_ns) / MS:.0f} ms")
            found = mistakes(step, seen, self.one, offset, self.value, self.bound)
            if not found and not earliest <= seen.at_ns <= latest:
                found = [f"after {(seen.at_ns - self.event_ns) / MS:.1f} ms"]
            if found and number >= must:
                self.held = seen
                return
            if found:
                raise self.wrong(step, step.text, f"{', '.join(found)} in {words(seen, self.one)}")
            self.take(step, seen, offset)
            offset += len(seen.payload)

    def take(self, step: Step, seen: Seen, offset: int) -> None:
        self.event_ns = seen.at_ns
        actual = actual_values(seen, self.one, offset)
        for name, texts in step.fields.items():
            for text, number in zip(texts, actual.get(name, ()), strict=False):
                if is_capture(text, self.bound):
                    self.names[text] = number
        if seen.proto == "tcp":
            take_numbers(self.one, seen)

    # ---- errors ----

    def wrong(self, step: Step, expected: str, seen: str) -> ScriptError:
        where = f"{self.script.path.name}:{step.line}"
        return ScriptError(f"{where} ({self.wire.side}): expected {expected}; seen {seen}")


def take_numbers(one: Conversation, seen: Seen) -> None:
    """What a segment of the other side's moves on."""
    if "S" in seen.flags:
        one.irs, one.rcv = seen.seq, 1
        one.edges.clear()
    if one.irs is not None and "R" not in seen.flags and "S" not in seen.flags:
        seq = (seen.seq - one.irs) % (1 << 32)
        end = seq + len(seen.payload) + ("F" in seen.flags)
        if seq <= one.rcv < end:
            one.rcv = end
        if seen.payload:
            one.arrivals.append((seen.at_ns, end))
    if "ts" in seen.options:
        one.ts_last = seen.options["ts"][0]


def repeats(one: Conversation, seen: Seen) -> bool:
    """Its octets have all been here before."""
    numbers = range(seen.seq, seen.seq + len(seen.payload))
    return bool(seen.payload) and all(number % (1 << 32) in one.edges for number in numbers)
