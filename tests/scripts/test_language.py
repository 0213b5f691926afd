"""The language itself: what is read, what is refused, and that a server which does otherwise is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import MakeHost
from tests.scripts.language import parse
from tests.scripts.play import Play
from tests.scripts.servers import EngineWire
from tests.scripts.values import MS, ScriptError, evaluate, holds
from tests.scripts.wire import Responses

HEADER = "title: t\nrule: 9293 | 3.5 | MUST | w\nruns: common\n"
OPEN = "< S win 65535 mss 1460\n> SA seq 0 ack 1\n< A\n"
BEGUN = OPEN + "< PA get /b1m\n> A seq 1 len 1460 x 10\n"


def play(
    make_host: MakeHost,
    responses: Responses,
    steps: str,
    runs: str = "common",
    version: int = 4,
    **options: int | str,
) -> None:
    script = parse(Path("made.tcp"), HEADER.replace("common", runs) + steps)
    Play(script, EngineWire(make_host, responses, options, version)).run()


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
    for wrong in ("nobody", "req()", "'x'"):
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
        (HEADER + "repeat 3 i\n< A\n", 4, "an end"),
        (HEADER + "< A\nend\n", 5, "a repeat"),
        (HEADER + "restart 3\n", 4, "ours only"),
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
        ("< S mss 1460\n> SA scale 7\n", 5, "scale missing"),
        ("< S mss 1460 sackok\n> SA nosackok\n", 5, "sackok"),
        ("< S mss 1460\n> R\n", 5, "flags SA"),
        ("< S mss 1460\n> SA ts any any\n", 5, "ts missing"),
        (OPEN + "> A\n", 7, "nothing within"),
        (OPEN + "< R\nnone 5ms\n> A\n", 9, "nothing within"),
        (OPEN + "< PA get /b64\nnone 5ms\n", 8, "A seq 1"),
        (OPEN + "< PA get /b64\n+100ms > A\n", 8, "after 0.0 ms"),
        (OPEN + "< PA get /b10k\n> A len 1460 x 9\n", 8, "len"),
        (OPEN + "< PA get /b64\n", 7, "A seq 1"),
        (OPEN + "< PA get /b64\n+10ms < A\n", 8, "A seq 1"),
        (OPEN + "< A seq nobody\n", 7, "no such value"),
        (BEGUN + "round 10ms x 21..30\n", 9, "20 segments"),
        (BEGUN + "< PA get /b1k ack 1\nround 10ms x 20\n", 10, "len 0"),
        (BEGUN + "round 10ms\n", 9, "a round is as"),
        (OPEN + "< PA get /b1m\n> A len 1460 x 8..9\n", 8, "A seq 13141"),
        (OPEN + "< PA get /b1m\n> A len 1460 x 11..12\n", 8, "nothing within"),
    ],
)
def test_a_server_that_does_otherwise_is_found_out(
    make_host: MakeHost, responses: Responses, steps: str, line: int, seen: str
) -> None:
    with pytest.raises(ScriptError) as told:
        play(make_host, responses, steps)
    where, _, rest = str(told.value).partition(" (ours): expected ")
    assert where == f"made.tcp:{line}" and seen in rest.partition("; seen ")[2]


def test_conditions_are_comparisons_of_values() -> None:
    assert holds("1 < (b - a) % wrap <= 3", {"a": 7, "b": 2, "wrap": 8})
    assert not holds("a == b", {"a": 7, "b": 2})
    for wrong in ("a", "a and b", "a in b"):
        with pytest.raises(ValueError, match="no "):
            holds(wrong, {"a": 1, "b": 1})


def test_a_repetition_is_written_out() -> None:
    made = parse(Path("made.tcp"), f"{HEADER}repeat 2 i\n< S seq $i\n> SA\nend\n< A\n")
    assert [(step.line, step.text) for step in made.steps] == [
        (5, "< S seq 0"),
        (6, "> SA"),
        (5, "< S seq 1"),
        (6, "> SA"),
        (8, "< A"),
    ]


@pytest.mark.parametrize(
    "steps",
    [
        "< S mss 1460\n> SA isn one\nconn b\n< S mss 1460\n> SA isn two ack 1\ncheck one != two\n",
        OPEN + "conn b\n< A ack 5\n> R seq 5\nconn a\n< PA get /b64 badsum\ncount drop_tcp_checksum 1\n",
        "< S mss 1460 vlan 5\n> SA vlan 5 ttl 64 df 1 ecn 0 src them dst us opts 020405b4\n",
        "< S mss 1460\n> SA isn one\nrestart 2\ncount open 0\n< A ack 1\n> R seq 1 opts -\n",
        "< S mss 1460\n> SA opts 0204....\npass 1.5s\n< A\nnone 3s\n",
        OPEN + "< PA get /b64 times 3\npass 1ms\n< A\ncheck rcv == 1 + 3 * resp\nnone 1s\n",
        OPEN + "conn c to them+10\n< S mss 1460\n> SA src them+10\ncount open 2\n",
        BEGUN + "round 10ms x 20\nround 10ms x 38..40\n+10ms < A ack rcv\n> A len 1460 x 1..99\n",
    ],
)
def test_words_of_the_language(make_host: MakeHost, responses: Responses, steps: str) -> None:
    play(make_host, responses, steps, "ours-only because it is a test")


@pytest.mark.parametrize(
    ("steps", "seen"),
    [
        ("< S mss 1460\n> SA isn one\ncheck one < 0\n", "'one': "),
        (OPEN + "count challenge_acks 1\n", "0"),
        (OPEN + "conn b\n< S mss 1460\nconn a\n> SA\n", "another connection's: to port 40001 from 80"),
        ("< S mss 1460\n> SA opts 02040200\n", "opts 020405b4"),
        ("< S mss 1460\n> SA psh\n", "flags SA"),
        ("< S mss 1460\n> arp op 2\n", "tcp in SA"),
    ],
)
def test_a_word_that_does_not_fit_is_told(
    make_host: MakeHost, responses: Responses, steps: str, seen: str
) -> None:
    with pytest.raises(ScriptError) as told:
        play(make_host, responses, steps)
    assert seen in str(told.value).partition("; seen ")[2]


def test_arp_and_echo_are_frames_too(make_host: MakeHost, responses: Responses) -> None:
    steps = """
        < arp
        > arp op 2 eth themmac to usmac sha themmac spa them tha usmac tpa us
        < icmp type 8 id 7 seq 3 len 56
        > icmp type 0 code 0 id 7 seq 3 len 56 src them
    """
    play(make_host, responses, steps, own=1)
    steps = """
        < icmp type 135 target them lladdr usmac
        > icmp type 136 target them lladdr themmac
    """
    play(make_host, responses, steps, version=6, own=1)


def test_a_run_is_the_same_each_time(make_host: MakeHost, responses: Responses) -> None:
    steps = OPEN + "< PA get /b10k\n> A len 1460 x 7\n> A len resp-7*1460\n+200ms > A seq 1 len 1460\n"
    for _ in range(2):
        play(make_host, responses, steps)
