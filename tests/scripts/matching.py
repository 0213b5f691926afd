"""Whether a frame is what a step says, and what is wrong with it, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.engine.frames import MODULUS
from tests.scripts.making import ISS, Conversation, Value
from tests.scripts.steps import Step
from tests.scripts.wire import Seen

Actual = dict[str, tuple[int, ...]]
Bound = Callable[[str], bool]
"""Whether a name has a value yet; one that has none takes that of the frame."""
_OWN_WORDS = {"x", "data", "opts", "sackok", "psh", "nopsh"}


def actual_values(seen: Seen, one: Conversation, offset: int = 0) -> Actual:
    """Every field by its name in the language. offset: what segments of the same step brought before."""
    found: Actual = {name: (value,) for name, value in seen.fields.items()}
    if seen.proto != "tcp":
        return found
    irs = seen.seq if "S" in seen.flags and one.irs is None else one.base
    relative = bool(set("AS") & set(seen.flags)) or one.irs is not None
    return found | {
        "seq": ((seen.seq - irs - offset) % MODULUS if relative else seen.seq,),
        "ack": ((seen.ack - ISS) % MODULUS,),
        "isn": (seen.seq,),
        "len": (len(seen.payload),),
        "win": (seen.window,),
        "urg": (seen.urgent,),
        "sport": (seen.source_port,),
        "dport": (seen.port,),
        "off": (5 + len(seen.raw_options) // 4,),
        **{name: seen.options[name] for name in ("mss", "scale", "ts") if name in seen.options},
    }


def is_capture(text: str, bound: Bound) -> bool:
    return text.isidentifier() and text != "any" and not bound(text)


def fits(text: str, actual: int, value: Value, bound: Bound) -> bool:
    low, dots, high = text.partition("..")
    if low == "any" or is_capture(low, bound):
        return True
    bottom = value(low)
    return bottom <= actual <= (value(high) if dots else bottom)


def mistakes(step: Step, seen: Seen, one: Conversation, offset: int, value: Value, bound: Bound) -> list[str]:
    """What in the frame is not as the step says."""
    if seen.proto != step.proto:
        return [seen.proto]
    actual = actual_values(seen, one, offset)
    found = []
    for name, texts in step.fields.items():
        if name in _OWN_WORDS:
            continue
        if name.startswith("no"):
            found += [name[2:]] if name[2:] in seen.options else []
        elif name not in actual or not all(
            fits(text, number, value, bound) for text, number in zip(texts, actual[name], strict=True)
        ):
            found.append(f"{name} {' '.join(map(str, actual.get(name, ('missing',))))}")
    return found + (_of_tcp(step, seen, one, value) if seen.proto == "tcp" else [])


def _of_tcp(step: Step, seen: Seen, one: Conversation, value: Value) -> list[str]:
    found = [] if set(seen.flags) - {"P"} == set(step.flags) - {"P"} else [f"flags {seen.flags}"]
    if another_connection(seen, one):
        found.append(f"another connection's: to port {seen.port} from {seen.source_port}")
    if "sackok" in step.fields and "sackok" not in seen.options:
        found.append("no sackok")
    for name, wanted in (("psh", True), ("nopsh", False)):
        if name in step.fields and ("P" in seen.flags) != wanted:
            found.append(f"flags {seen.flags}")
    if "opts" in step.fields and not _same_octets(step.fields["opts"][0], seen.raw_options):
        found.append(f"opts {seen.raw_options.hex()}")
    if "data" in step.fields and not seen.payload.startswith(octets(step.fields["data"][0])):
        found.append(f"data {seen.payload[:40]!r}")
    if step.blocks:
        wanted_blocks = [(value(start), value(end)) for start, end in step.blocks]
        if wanted_blocks != blocks(seen):
            found.append(f"sack {blocks(seen)}")
    return found + _foreign(seen, one)


def another_connection(seen: Seen, one: Conversation) -> bool:
    ways = (seen.port, seen.source_port, seen.fields["dst"])
    return ways != (one.port, one.server_port, int.from_bytes(one.link.source, "big"))


def _same_octets(text: str, octets: bytes) -> bool:
    """text: hexadecimal, a dot for any digit; - for none at all."""
    return re.fullmatch(text.strip("-"), octets.hex()) is not None


def blocks(seen: Seen) -> list[tuple[int, int]]:
    """SACK blocks of the server's, about octets of ours."""
    numbers = [(number - ISS) % MODULUS for number in seen.options.get("sack", ())]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _foreign(seen: Seen, one: Conversation) -> list[str]:
    """An octet sent twice must be the same octet."""
    for at, octet in zip(range(seen.seq, seen.seq + len(seen.payload)), seen.payload, strict=True):
        if one.edges.setdefault(at % MODULUS, bytes([octet])) != bytes([octet]):
            return [f"other octets sent again at {(at - one.base) % MODULUS}"]
    return []


def octets(text: str) -> bytes:
    """_ stands for a space, ~ for an end of a line."""
    return text.replace("_", " ").replace("~", "\r\n").encode()


def words(seen: Seen, one: Conversation) -> str:
    """A frame as a message shows it."""
    if seen.proto != "tcp":
        return f"{seen.proto} " + " ".join(f"{name} {number}" for name, number in seen.fields.items())
    irs = one.irs or (seen.seq if "S" in seen.flags else 0)
    options: Mapping[str, tuple[int, ...]] = seen.options
    shown = [f"{name} {' '.join(map(str, numbers))}" for name, numbers in options.items()]
    relative = replace(seen, seq=(seen.seq - irs) % MODULUS, ack=(seen.ack - ISS) % MODULUS)
    return (
        f"{relative.flags} seq {relative.seq} ack {relative.ack} win {relative.window} "
        f"len {len(relative.payload)} {' '.join(shown)}".rstrip()
    )
