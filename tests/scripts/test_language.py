"""The language itself: what is read, what is refused, and that a server which does otherwise is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import MakeHost
from tests.scripts.language import MS, ScriptError, evaluate, parse
from tests.scripts.play import Play
from tests.scripts.servers import EngineWire

HEADER = "title: t\nrule: 9293 | 3.5 | MUST | w\nruns: common\n"
OPEN = "< S win 65535 mss 1460\n> SA seq 0 ack 1\n< A\n"


def play(make_host: MakeHost, responses: dict[str, bytes], steps: str) -> None:
    Play(parse(Path("made.tcp"), HEADER + steps), EngineWire(make_host(), responses)).run()


def test_a_step_is_read_whole() -> None:
    steps = "[ours] +0.2s..400ms > SA seq 0 ts T 5 sack 1-2 3-4 sackok x 3\n"
    made = parse(Path("made.tcp"), f"{HEADER}linux: why\n{steps}")
    (step,) = made.steps
    assert (step.line, step.kind, step.only, step.flags) == (5, ">", "ours", "SA")
    assert step.fields == {"seq": ("0",), "ts": ("T", "5"), "sackok": (), "x": ("3",)}
    assert step.blocks == (("1", "2"), ("3", "4"))
    assert step.when is not None and not step.when.exact and not step.when.absolute
    assert (step.when.low_ns, step.when.high_ns) == (200 * MS, 400 * MS)


def test_values_are_sums_and_products_of_numbers_and_names() -> None:
    assert evaluate("1+req*2-3", {"req": 10}) == 18
    for wrong in ("nobody", "req/2", "req()", "'x'"):
        with pytest.raises(ValueError, match="no such value"):
            evaluate(wrong, {"req": 10})


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (HEADER + "\n<< S\n", 5, "a step"),
        (HEADER + "< SX\n", 4, "flags"),
        (HEADER + "< S win\n", 4, "a field"),
        (HEADER + "< S colour 3\n", 4, "a field"),
        (HEADER + "+3h < S\n", 4, "a time"),
        (HEADER + "[linux] > R\n", 1, "`linux:`"),
        (HEADER + "linux: why\n> R\n", 1, "`linux:`"),
        (HEADER.replace("common", "ours-only"), 1, "a reason"),
        (HEADER.replace("rule: 9293 |", "rule:") + "> R\n", 1, "RFC | section"),
        (HEADER.replace("title: t\n", "") + "> R\n", 1, "a title"),
        (HEADER, 1, "steps"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(text: str, line: int, expected: str) -> None:
    with pytest.raises(ScriptError) as told:
        parse(Path("made.tcp"), text)
    assert str(told.value).startswith(f"made.tcp:{line}: expected ") and expected in str(told.value)


@pytest.mark.parametrize(
    ("steps", "line", "seen"),
    [
        ("< S mss 1460\n> SA ack 2\n", 5, "ack 1 in SA seq 0 ack 1"),
        ("< S mss 1460\n> SA scale 7\n", 5, "scale None"),
        ("< S mss 1460 sackok\n> SA nosackok\n", 5, "sackok"),
        ("< S mss 1460\n> R\n", 5, "flags SA"),
        ("< S mss 1460\n> SA ts any any\n", 5, "ts ()"),
        (OPEN + "> A\n", 7, "nothing within"),
        (OPEN + "< R\nnone 5ms\n> A\n", 9, "nothing within"),
        (OPEN + "< PA get /b64\nnone 5ms\n", 8, "A seq 1"),
        (OPEN + "< PA get /b64\n+100ms > A\n", 8, "after 0.0 ms"),
        (OPEN + "< PA get /b10k\n> A len 1460 x 9\n", 8, "len"),
        (OPEN + "< PA get /b64\n", 7, "A seq 1"),
        (OPEN + "< PA get /b64\n+10ms < A\n", 8, "A seq 1"),
        (OPEN + "< A seq nobody\n", 7, "no such value"),
    ],
)
def test_a_server_that_does_otherwise_is_found_out(
    make_host: MakeHost, responses: dict[str, bytes], steps: str, line: int, seen: str
) -> None:
    with pytest.raises(ScriptError) as told:
        play(make_host, responses, steps)
    where, _, rest = str(told.value).partition(" (ours): expected ")
    assert where == f"made.tcp:{line}" and seen in rest.partition("; seen ")[2]


def test_a_run_is_the_same_each_time(make_host: MakeHost, responses: dict[str, bytes]) -> None:
    steps = OPEN + "< PA get /b10k\n> A len 1460 x 7\n> A len resp-7*1460\n+200ms > A seq 1 len 1460\n"
    for _ in range(2):
        play(make_host, responses, steps)
