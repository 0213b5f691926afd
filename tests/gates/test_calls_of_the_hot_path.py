"""What the compiler made of a worker's turn: the built extension, disassembled, calls nothing else.

worker_run itself is inlined into its door; the generated C answers for it.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
_TRANSFER = re.compile(r"\b(?:call|jmp|j[a-z]{1,3})q?\s+[0-9a-f]+ <([^>+]+)>")
_PREFIX = "__pyx_f_10cython_ext_"
_CONTRACT = ("_rx_burst", "_tx_burst", "_alloc", "_recycle", "_wakeup", "_frames_accounted")


def calls_by_function(disassembly: str) -> dict[str, set[str]]:
    """Function -> what it calls or jumps to by name. Calls through a register are the driver contract's."""
    found: dict[str, set[str]] = {}
    current = ""
    for line in disassembly.splitlines():
        start = _FUNCTION.match(line)
        if start:
            current = start[1]
            found.setdefault(current, set())
        target = _TRANSFER.search(line)
        if target and target[1] != current:
            found[current].add(target[1])
    return found


def outside_calls(calls: Mapping[str, set[str]], roots: list[str]) -> dict[str, set[str]]:
    """Symbol that is not ours -> functions that call it, from `roots` on down."""
    seen: set[str] = set()
    outside: dict[str, set[str]] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for target in calls[name]:
            if target.startswith(_PREFIX):
                waiting.append(target)
            else:
                outside.setdefault(target.removesuffix("@plt"), set()).add(name)
    return outside


def allowed(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def calls() -> dict[str, set[str]]:
    spec = importlib.util.find_spec("bypass._engine")
    assert spec is not None and spec.origin is not None
    command = ["objdump", "-d", "--no-show-raw-insn", spec.origin]
    return calls_by_function(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_turn_and_the_drivers_call_only_what_is_listed(calls: dict[str, set[str]]) -> None:
    turns = [name for name in calls if name.startswith(_PREFIX) and name.endswith("worker_turn")]
    drivers = [name for name in calls if name.startswith(_PREFIX + "6driver_") and name.endswith(_CONTRACT)]
    assert len(turns) == 1
    assert len(drivers) >= 2 * len(_CONTRACT), "af_xdp and memory"
    outside = outside_calls(calls, turns + drivers)
    listed = allowed(Path(__file__).with_name("hot_calls.txt").read_text())
    assert "memcpy" in outside
    assert {name: users for name, users in outside.items() if name not in listed} == {}


def test_a_call_that_is_not_listed_is_found() -> None:
    text = (
        f"0000000000001000 <{_PREFIX}6worker_4loop_worker_turn>:\n"
        f"    1000:\tcall   2000 <{_PREFIX}3tcp_f>\n"
        f"    1005:\tjmp    1000 <{_PREFIX}6worker_4loop_worker_turn+0x9>\n"
        f"0000000000002000 <{_PREFIX}3tcp_f>:\n"
        "    2000:\tcall   *0x10(%rax)\n"
        "    2005:\tjmp    900 <PyErr_Occurred@plt>\n"
    )
    calls = calls_by_function(text)
    assert outside_calls(calls, [f"{_PREFIX}6worker_4loop_worker_turn"]) == {
        "PyErr_Occurred": {f"{_PREFIX}3tcp_f"}
    }
