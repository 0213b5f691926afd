"""Plays a script against a server behind a Wire: sends its segments, matches what comes back, in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.engine.frames import MODULUS, Options, Segment, build
from tests.engine.peer import get_request
from tests.scripts.language import MS, Script, ScriptError, Step, evaluate
from tests.scripts.wire import Seen, Wire

ISS = 0xFFFFFF00
"""Our initial number: every script of more than 256 octets wraps."""
PROMPT_NS = 20 * MS
"""What has no time stated comes within this and the wire's slack."""


class Play:
    """One conversation. side: whose steps are played, by default those of the wire's server."""

    def __init__(self, script: Script, wire: Wire, side: str | None = None) -> None:
        self.script, self.wire, self.side = script, wire, side or wire.side
        self.start_ns = self.event_ns = wire.now()
        self.irs: int | None = None
        self.names: dict[str, int] = {"req": wire.request_bytes, "resp": 0, "snd": 0, "rcv": 0}
        self.edges: dict[int, bytes] = {}
        self.ts_last: int | None = None
        self.stamps = False
        self.held: Seen | None = None

    def run(self) -> None:
        """ScriptError: the first step that did not go as written."""
        for step in self.script.steps:
            if step.only in (None, self.side):
                {"<": self._send, ">": self._expect, ">?": self._expect, "none": self._none}[step.kind](step)
        self._quiet_until(self.script.steps[-1], self.wire.now() + PROMPT_NS)

    # ---- times ----

    def _due(self, step: Step) -> tuple[int, int]:
        """Earliest and latest moment of a step."""
        if step.when is None:
            return self.event_ns, self.event_ns + PROMPT_NS + self.wire.slack(PROMPT_NS, early=False)
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
            raise self._wrong(step, "no segment", self._words(seen))

    def _none(self, step: Step) -> None:
        assert step.when is not None
        self._quiet_until(step, self.wire.now() + step.when.low_ns)

    # ---- sending ----

    def _send(self, step: Step) -> None:
        if step.when is not None:
            base = self.start_ns if step.when.absolute else self.event_ns
            self._quiet_until(step, base + step.when.low_ns)
        if "new" in step.fields:
            self.irs = None
        payload = self._payload(step)
        if "seq" in step.fields:
            seq = self._value(step, "seq")
        else:
            seq = self.names["snd"]
            self.names["snd"] += len(payload) + ("S" in step.flags) + ("F" in step.flags)
        ack = self._value(step, "ack") if "ack" in step.fields else self.names["rcv"]
        segment = Segment(
            self.wire.port,
            self.wire.server_port,
            step.flags,
            (ISS + seq) % MODULUS,
            ((self.irs or 0) + ack) % MODULUS if "A" in step.flags else 0,
            self._value(step, "win") if "win" in step.fields else 65535,
            payload,
            self._options(step),
            self.wire.link,
            self._value(step, "urg") if "urg" in step.fields else 0,
        )
        if "S" in step.flags:
            self.stamps = segment.options.timestamps is not None
        self.wire.send(build(segment))
        self.event_ns = self.wire.now()

    def _payload(self, step: Step) -> bytes:
        if "get" in step.fields:
            (path,) = step.fields["get"]
            octets = get_request(path)
            self.names |= {"req": len(octets), "resp": len(self.wire.responses[path])}
            return octets
        if "data" in step.fields:
            return step.fields["data"][0].replace("_", " ").replace("~", "\r\n").encode()
        return b"x" * self._value(step, "len") if "len" in step.fields else b""

    def _options(self, step: Step) -> Options:
        stamp = None
        if "ts" in step.fields:
            value, echo = step.fields["ts"]
            stamp = (evaluate(value, self.names), evaluate(echo, self.names))
        elif self.stamps and "nots" not in step.fields and "R" not in step.flags:
            elapsed_ms = (self.wire.now() - self.start_ns) // MS
            stamp = (1_000_000 + elapsed_ms, self.ts_last or 0)
        base = self.irs or 0
        blocks = tuple(
            (base + evaluate(start, self.names), base + evaluate(end, self.names))
            for start, end in step.blocks
        )
        return Options(
            mss=self._value(step, "mss") if "mss" in step.fields else None,
            scale=self._value(step, "scale") if "scale" in step.fields else None,
            sack_permitted="sackok" in step.fields,
            timestamps=stamp,
            sack=blocks,
            raw=bytes.fromhex(step.fields["raw"][0]) if "raw" in step.fields else b"",
        )

    def _value(self, step: Step, name: str) -> int:
        try:
            return evaluate(step.fields[name][0], self.names)
        except (ValueError, SyntaxError) as error:
            raise self._wrong(step, f"a value for {name}", str(error)) from None

    # ---- matching ----

    def _expect(self, step: Step) -> None:
        times = self._value(step, "x") if "x" in step.fields else 1
        offset = 0
        for _ in range(times):
            earliest, latest = self._due(step)
            seen = self._receive(latest)
            if seen is None and step.kind == ">?":
                return
            if seen is None:
                raise self._wrong(step, step.text, f"nothing within {(latest - self.event_ns) / MS:.0f} ms")
            mistakes = self._mistakes(step, seen, offset)
            if not mistakes and not earliest <= seen.at_ns <= latest:
                mistakes = [f"after {(seen.at_ns - self.event_ns) / MS:.1f} ms"]
            if mistakes and step.kind == ">?":
                self.held = seen
                return
            if mistakes:
                raise self._wrong(step, step.text, f"{', '.join(mistakes)} in {self._words(seen)}")
            self._take(step, seen)
            offset += len(seen.payload)

    def _mistakes(self, step: Step, seen: Seen, offset: int) -> list[str]:
        """What in the segment is not as the step says."""
        irs = seen.seq if "S" in seen.flags and self.irs is None else self.irs or 0
        actual: dict[str, int] = {
            "seq": (seen.seq - irs - offset) % MODULUS
            if set("AS") & set(seen.flags) or self.irs is not None
            else seen.seq,
            "ack": (seen.ack - ISS) % MODULUS,
            "len": len(seen.payload),
            "win": seen.window,
            "urg": seen.urgent,
            **{name: seen.options[name][0] for name in ("mss", "scale") if name in seen.options},
        }
        found = [] if set(seen.flags) - {"P"} == set(step.flags) - {"P"} else [f"flags {seen.flags}"]
        for name, texts in step.fields.items():
            if name.startswith("no"):
                found += [name[2:]] if name[2:] in seen.options else []
            elif name == "sackok":
                found += [] if name in seen.options else ["no sackok"]
            elif name == "ts":
                pair = seen.options.get("ts", ())
                found += [] if pair and all(map(self._fits, texts, pair)) else [f"ts {pair}"]
            elif name != "x" and not (name in actual and self._fits(texts[0], actual[name])):
                found.append(f"{name} {actual.get(name)}")
        if step.blocks:
            blocks = [(evaluate(a, self.names), evaluate(b, self.names)) for a, b in step.blocks]
            if blocks != self._blocks(seen):
                found.append(f"sack {self._blocks(seen)}")
        return found + self._foreign(seen)

    def _fits(self, text: str, actual: int) -> bool:
        low, dots, high = text.partition("..")
        if low == "any" or (low.isidentifier() and low not in self.names):
            return True
        bottom = evaluate(low, self.names)
        return bottom <= actual <= (evaluate(high, self.names) if dots else bottom)

    def _blocks(self, seen: Seen) -> list[tuple[int, int]]:
        """SACK blocks of the server's, about octets of ours."""
        numbers = [(one - ISS) % MODULUS for one in seen.options.get("sack", ())]
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def _foreign(self, seen: Seen) -> list[str]:
        """An octet sent twice must be the same octet."""
        for at, octet in zip(range(seen.seq, seen.seq + len(seen.payload)), seen.payload, strict=True):
            if self.edges.setdefault(at % MODULUS, bytes([octet])) != bytes([octet]):
                return [f"other octets sent again at {(at - (self.irs or 0)) % MODULUS}"]
        return []

    def _take(self, step: Step, seen: Seen) -> None:
        self.event_ns = seen.at_ns
        if "S" in seen.flags:
            self.irs = seen.seq
            self.names["rcv"] = 1
            self.edges.clear()
        if self.irs is not None and "R" not in seen.flags and "S" not in seen.flags:
            seq = (seen.seq - self.irs) % MODULUS
            end = seq + len(seen.payload) + ("F" in seen.flags)
            if seq <= self.names["rcv"] < end:
                self.names["rcv"] = end
        if "ts" in seen.options:
            self.ts_last = seen.options["ts"][0]
            for name, value in zip(step.fields.get("ts", ()), seen.options["ts"], strict=False):
                if name.isidentifier() and name != "any":
                    self.names.setdefault(name, value)

    # ---- errors ----

    def _wrong(self, step: Step, expected: str, seen: str) -> ScriptError:
        where = f"{self.script.path.name}:{step.line}"
        return ScriptError(f"{where} ({self.wire.side}): expected {expected}; seen {seen}")

    def _words(self, seen: Seen) -> str:
        irs = self.irs or (seen.seq if "S" in seen.flags else 0)
        shown: Sequence[str] = [f"{name} {' '.join(map(str, value))}" for name, value in seen.options.items()]
        numbers = replace(seen, seq=(seen.seq - irs) % MODULUS, ack=(seen.ack - ISS) % MODULUS)
        return (
            f"{numbers.flags} seq {numbers.seq} ack {numbers.ack} win {numbers.window} "
            f"len {len(numbers.payload)} {' '.join(shown)}".rstrip()
        )
