"""`bypass check --config`: every mistake with file, line, key and value, and no word where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bypass.config import KEYS
from bypass.configfile import Lines
from tests.cli.conftest import Command, bypass, root

__all__ = ["bypass", "root"]

MANY = """\
# settings

[serve]
port = 0
prot = 80
queue = [
    0,
    "one",
]
idle-timeout = "soon"
poll = "never"   # a word that is none

[sevre]
x = 1
"""


def _written(folder: Path, text: str) -> str:
    path = folder / "own.toml"
    path.write_text(text)
    return str(path)


def test_every_mistake_is_found_with_line_key_and_value(bypass: Command, tmp_path: Path) -> None:
    file = _written(tmp_path, MANY)
    done = bypass("check", "--config", file, "--json")
    assert done.exit_code == 78
    facts = json.loads(done.out)
    found = [(one["line"], one["key"], one["value"]) for one in facts["mistakes"]]
    assert found == [
        (4, "serve.port", "0"),
        (5, "serve.prot", "80"),
        (6, "serve.queue", "[0, 'one']"),
        (10, "serve.idle-timeout", "'soon'"),
        (11, "serve.poll", "'never'"),
        (13, "sevre", "{'x': 1}"),
    ]
    assert {one["file"] for one in facts["mistakes"]} == {file}
    assert "Did you mean 'port'?" in facts["mistakes"][1]["remedy"]
    assert "latency, balanced or efficient" in facts["mistakes"][4]["why"]


def test_people_read_one_line_a_mistake(bypass: Command, tmp_path: Path) -> None:
    file = _written(tmp_path, MANY)
    done = bypass("check", "--config", file)
    assert done.exit_code == 78
    assert f"{file}:10: serve.idle-timeout = 'soon': it must be a time such as 500ms" in done.err
    assert done.err.strip().endswith("6 mistakes")
    assert done.out == ""


def test_serve_names_the_first_mistake_with_its_line(bypass: Command, tmp_path: Path) -> None:
    done = bypass("serve", "x", "-i", "lo", "--config", _written(tmp_path, MANY))
    assert done.exit_code == 78
    assert "own.toml:4: serve.port = 0" in done.err


def test_toml_that_is_none_has_its_line(bypass: Command, tmp_path: Path) -> None:
    file = _written(tmp_path, "[serve]\nport = 80\nport = 81\n")
    done = bypass("check", "--config", file)
    assert done.exit_code == 78
    assert f"{file}:" in done.err
    assert "not valid TOML" in done.err
    done = bypass("check", "--config", _written(tmp_path, "[serve]\nport 80\n"))
    assert "own.toml:2: not valid TOML" in done.err


def test_values_that_contradict_each_other_are_a_mistake(bypass: Command, tmp_path: Path) -> None:
    text = '[serve]\nmode = "generic"\nmemory = "zero-copy"\nsite = "/nowhere/at/all"\n'
    done = bypass("check", "--config", _written(tmp_path, text))
    assert done.exit_code == 78
    assert "own.toml:3: serve.memory = 'zero-copy'" in done.err
    assert "own.toml:4: serve.site = '/nowhere/at/all'" in done.err


def test_a_file_without_mistakes_says_so(bypass: Command, root: Path) -> None:
    done = bypass("check", "--config", str(root / "config" / "bypass.toml"))
    assert done.exit_code == 0
    assert "no mistakes" in done.err


def test_a_wrong_environment_is_named(bypass: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYPASS_PORT", "many")
    done = bypass("check")
    assert done.exit_code == 78
    assert "BYPASS_PORT = 'many'" in done.err


def test_every_value_is_shown_with_its_source(
    bypass: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYPASS_CONNECTIONS", "1000")
    file = _written(tmp_path, "[serve]\n\nport = 8080\n")
    done = bypass("check", "--config", file, "--show-config", "--json")
    assert done.exit_code == 0
    settings = json.loads(done.out)["settings"]
    assert list(settings) == list(KEYS)
    assert settings["port"] == {"value": 8080, "source": f"{file}:3"}
    assert settings["connections"] == {"value": 1000, "source": "BYPASS_CONNECTIONS"}
    assert settings["cpu"] == {"value": -1, "source": "default"}
    shown = bypass("check", "--config", file, "--show-config").out
    assert any(line.split() == ["port", "8080", f"{file}:3"] for line in shown.splitlines())


def test_a_file_that_is_not_there_is_an_error(bypass: Command, tmp_path: Path) -> None:
    done = bypass("check", "--config", str(tmp_path / "absent.toml"))
    assert done.exit_code == 78
    assert "No such file" in done.err


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("a = '''\nb = 2\n'''\nb = 3\n", ("b",), 4),
        ("[x]\n\n# y = 1\ny = [\n 1,\n]\n", ("x", "y"), 4),
        ("x.y.z = 1\n", ("x", "y"), 1),
        ("a = 1\n", ("b",), 0),
    ],
)
def test_lines_are_those_of_the_statement(text: str, path: tuple[str, ...], line: int) -> None:
    assert Lines(text).of(*path) == line


def test_rules_in_the_folders_that_are_served_are_looked_at(bypass: Command, tmp_path: Path) -> None:
    for name in ("main", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "main" / "_redirects").write_text("/a /b\n/c /d 299\n")
    (tmp_path / "other" / "_headers").write_text("/*\n  Date: now\n")
    text = f'[serve]\nsite = "{tmp_path}/main"\n[[host]]\nnames = ["other"]\nroot = "other"\n'
    done = bypass("check", "--config", _written(tmp_path, text), "--json")
    assert done.exit_code == 78
    found = {(Path(one["file"]).name, one["line"], one["key"]) for one in json.loads(done.out)["mistakes"]}
    assert found == {("_redirects", 2, "/c /d 299"), ("_headers", 2, "Date: now")}
    (tmp_path / "main" / "_redirects").write_text("/a /b\n")
    (tmp_path / "other" / "_headers").unlink()
    assert bypass("check", "--config", _written(tmp_path, text)).exit_code == 0


def test_a_folder_that_cannot_be_looked_at_is_a_mistake(bypass: Command, tmp_path: Path) -> None:
    file = _written(tmp_path, f'[serve]\nsite = "{"a" * 300}"\n')
    done = bypass("check", "--config", file)
    assert done.exit_code == 78
    assert f"{file}:2: serve.site" in done.err and "no such folder" in done.err
