"""docs/site.md, example by example: the settings are compiled, the requests are asked of the engine.

A section has a block of settings (toml), at times the same as a rules file (redirects, headers), and a block
whose first line names the files and whose other lines are requests with what they are answered.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import bypass
from tests.engine_http.client import Net

DOCS = Path(__file__).parents[2] / "docs" / "site.md"
_BLOCK = re.compile(r"^## (?P<title>[^\n]*)$|^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$", re.M | re.S)
_ASK = re.compile(
    r"(?P<method>[A-Z]+) (?P<target>\S+)(?: as (?P<user>\S+))?(?: from (?P<origin>\S+))?"
    r" -> (?P<status>\d{3})(?: (?P<rest>.*))?"
)
_RULES = {"redirects": "_redirects", "headers": "_headers"}


@dataclass
class Example:
    """settings: TOML text. rules: name of a rules file and its content. lines: files, then requests."""

    title: str
    settings: str = ""
    rules: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def examples() -> list[Example]:
    found: list[Example] = []
    for block in _BLOCK.finditer(DOCS.read_text()):
        if block["title"]:
            found.append(Example(block["title"]))
        elif block["kind"] == "toml":
            found[-1].settings += block["text"]
        elif block["kind"] in _RULES:
            found[-1].rules[_RULES[block["kind"]]] = block["text"]
        elif " -> " in block["text"]:
            found[-1].lines = block["text"].splitlines()
    return [example for example in found if example.lines]


def variants() -> list[tuple[str, Example]]:
    """Each example with its tables, and once more with its rules file in their place."""
    made = []
    for example in examples():
        made.append((example.title, Example(example.title, example.settings, {}, example.lines)))
        if example.rules:
            name = f"{example.title}, {', '.join(example.rules)}"
            made.append((name, Example(example.title, "", example.rules, example.lines)))
    return made


@contextmanager
def engine(example: Example, folder: Path) -> Iterator[Net]:
    root = folder / "root"
    for name in example.lines[0].split(", "):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name, text in example.rules.items():
        (root / name).write_text(text)
    (folder / "bypass.toml").write_text(example.settings)
    with bypass.Site.compile(root, config=folder / "bypass.toml") as site:
        net = Net(site.image.buffer)
        yield net
        assert net.engine.frames_lost() == 0
        del net


def ask(net: Net, request: re.Match[str]) -> tuple[int, dict[str, str], str]:
    lines = [f"{request['method']} {request['target']} HTTP/1.1", "Host: h", "Connection: close"]
    if request["user"]:
        lines.append("Authorization: Basic " + base64.b64encode(request["user"].encode()).decode())
    if request["origin"]:
        lines.append(f"Origin: {request['origin']}")
    answer = net.connect().ask("\r\n".join([*lines, "", ""]).encode()).decode()
    head, _, body = answer.partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in fields), body


def judge(request: re.Match[str], status: int, fields: dict[str, str], body: str) -> None:
    assert status == int(request["status"])
    rest = request["rest"]
    if not rest:
        return
    if rest.startswith("not "):
        assert rest.removeprefix("not ") not in fields
    elif ": " in rest:
        name, value = rest.split(": ", 1)
        assert fields[name] == value
    elif status in (301, 302):
        assert fields["Location"] == rest
    elif "/" in rest and "." not in rest.partition(";")[0].rpartition("/")[2]:
        assert fields["Content-Type"] == rest
    else:
        assert body == rest


@pytest.mark.parametrize(("name", "example"), variants(), ids=[name for name, _ in variants()])
def test_what_the_documentation_promises_is_what_is_answered(
    name: str, example: Example, tmp_path: Path
) -> None:
    with engine(example, tmp_path) as net:
        for line in example.lines[1:]:
            request = _ASK.fullmatch(line)
            assert request, line
            judge(request, *ask(net, request))


def test_the_documentation_has_an_example_for_most_of_its_sections() -> None:
    titles = re.findall(r"^## (.*)$", DOCS.read_text(), re.M)
    assert len(examples()) >= len(titles) - 4
    assert sum(len(example.lines) - 1 for example in examples()) > 40
