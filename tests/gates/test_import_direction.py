"""Layers of the data plane import only what lies below them."""

from __future__ import annotations

from pathlib import Path

from tests.gates.rules import LAYERS, OUTSIDE, door_findings, import_findings


def test_every_layer_imports_only_layers_below_it(root: Path) -> None:
    checked = 0
    findings = []
    for layer in LAYERS:
        for path in sorted((root / "cython_ext" / layer).glob("*.p*")):
            checked += 1
            findings += [f"{path.name}: {line}" for line in import_findings(layer, path.read_text())]
    assert checked > len(LAYERS)
    assert not findings, "\n".join(findings)


def test_every_folder_of_the_data_plane_is_a_known_layer(root: Path) -> None:
    folders = {
        path.name for path in (root / "cython_ext").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert folders - {"abi"} == set(LAYERS)


def test_only_its_own_door_imports_what_measures_or_fuzzes(root: Path) -> None:
    doors = sorted((root / "cython_ext").glob("*.pyx"))
    assert {door.stem for door in doors} > OUTSIDE
    findings = [line for door in doors for line in door_findings(door.stem, door.read_text())]
    assert not findings, "\n".join(findings)


def test_a_door_that_imports_the_fuzzer_is_found() -> None:
    line = "from cython_ext.fuzz.chance cimport Chance\n"
    assert door_findings("engine", line)
    assert not door_findings("fuzz", line)
    assert not door_findings("fuzz_guided", line)


def test_the_allowed_imports_make_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(LAYERS):
        ready = {layer for layer, below in LAYERS.items() if below <= done} - done
        assert ready, f"a circle among {set(LAYERS) - done}"
        done |= ready


def test_an_upward_import_is_found() -> None:
    assert import_findings("tcp", "from cython_ext.http.request cimport Request\n")
    assert import_findings("wire", "from cython_ext.tcp cimport conn\n")
    assert import_findings("base", "cimport cython_ext.wire.bytes as bytes_\n")
    assert import_findings("http", "    from cython_ext.tcp.table cimport (\n        Table,\n    )\n")


def test_an_import_from_the_own_layer_or_below_is_allowed() -> None:
    assert not import_findings(
        "tcp", "from cython_ext.tcp.conn cimport Conn\nfrom cython_ext.wire cimport bytes\n"
    )
    assert not import_findings("tcp", "# from cython_ext.http.request cimport Request\n")
