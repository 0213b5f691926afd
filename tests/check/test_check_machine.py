"""The doctor on machines that are made of files: each lack has its finding and its remedy."""

from __future__ import annotations

import gzip
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

import bypass.check.machine as machine_module
from bypass.check.finding import Finding, exit_code_of
from bypass.check.machine import examine_machine
from bypass.errors import ExitCode

GOOD = "CONFIG_XDP_SOCKETS=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\n"

Examine = Callable[..., dict[str, list[Finding]]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with all that is looked for."""
    for folder in ("proc/sys/net/core", "proc/self", "sys/kernel/btf", "boot"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(GOOD.encode()))
    (tmp_path / "proc/sys/net/core/bpf_jit_enable").write_text("1\n")
    (tmp_path / "proc/self/mounts").write_text("bpf /sys/fs/bpf bpf rw 0 0\n")
    (tmp_path / "sys/kernel/btf/vmlinux").write_bytes(b"")
    return tmp_path


def examine(root: Path, release: str = "6.1.0-1-amd64") -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in examine_machine("bypass check", root, release):
        found.setdefault(finding.id, []).append(finding)
    return found


def test_a_good_machine_has_nothing_to_mend(machine: Path) -> None:
    found = examine(machine)
    for id in ("kernel", "kernel-options", "bpf-jit", "btf", "bpffs", "af-xdp"):
        assert [one.level for one in found[id]] == ["ok"], id


@pytest.mark.parametrize(
    ("release", "level"),
    [("5.10.0-1", "problem"), ("5.11.0", "ok"), ("4.19.1", "problem"), ("6.18", "ok"), ("12.0", "ok")],
)
def test_an_old_kernel_is_a_problem(machine: Path, release: str, level: str) -> None:
    (finding,) = examine(machine, release)["kernel"]
    assert finding.level == level
    assert release in finding.what
    assert bool(finding.remedy) == (level == "problem")


@pytest.mark.parametrize("option", ["CONFIG_XDP_SOCKETS", "CONFIG_BPF_SYSCALL"])
@pytest.mark.parametrize("instead", ["", "# {} is not set", "{}=m"])
def test_a_kernel_built_without_an_option_is_a_problem(machine: Path, option: str, instead: str) -> None:
    text = GOOD.replace(f"{option}=y", instead.format(option))
    (machine / "proc/config.gz").write_bytes(gzip.compress(text.encode()))
    (finding,) = examine(machine)["kernel-options"]
    assert finding.level == "problem"
    assert option in finding.what and option in finding.remedy


def test_options_are_read_from_boot_too(machine: Path) -> None:
    (machine / "proc/config.gz").unlink()
    (machine / "boot/config-6.1.0-1-amd64").write_text(GOOD)
    assert examine(machine)["kernel-options"][0].level == "ok"


def test_options_that_cannot_be_read_are_no_problem(machine: Path) -> None:
    (machine / "proc/config.gz").unlink()
    assert examine(machine)["kernel-options"][0].level == "note"


def test_an_interpreter_in_place_of_the_jit_is_a_warning(machine: Path) -> None:
    (machine / "proc/sys/net/core/bpf_jit_enable").write_text("0\n")
    (finding,) = examine(machine)["bpf-jit"]
    assert finding.level == "warning"
    assert "sysctl -w net.core.bpf_jit_enable=1" in finding.remedy


@pytest.mark.parametrize(("file", "id"), [("sys/kernel/btf/vmlinux", "btf"), ("proc/self/mounts", "bpffs")])
def test_what_bypass_does_not_need_is_a_note(machine: Path, file: str, id: str) -> None:
    (machine / file).unlink()
    (finding,) = examine(machine)[id]
    assert finding.level == "note"
    assert "bypass needs none" in finding.why


def test_the_exit_code_is_that_of_the_first_problem() -> None:
    def finding(level: str, code: int) -> Finding:
        return Finding(id="x", level=level, subject="x", what="x", exit_code=code)  # type: ignore[arg-type]

    assert exit_code_of([]) == ExitCode.OK
    assert exit_code_of([finding("warning", 77), finding("ok", 69)]) == ExitCode.OK
    assert exit_code_of([finding("note", 69), finding("problem", 77), finding("problem", 69)]) == 77


@pytest.mark.parametrize(
    ("capabilities", "hard_bytes", "level"),
    [
        ({"CAP_IPC_LOCK"}, 8 << 20, "ok"),
        ({"CAP_SYS_RESOURCE"}, 8 << 20, "ok"),
        (set(), 1 << 30, "ok"),
        (set(), resource.RLIM_INFINITY, "ok"),
        (set(), 8 << 20, "problem"),
    ],
)
def test_a_limit_on_locked_memory_matters_where_it_cannot_be_raised(
    monkeypatch: pytest.MonkeyPatch, capabilities: set[str], hard_bytes: int, level: str
) -> None:
    monkeypatch.setattr(machine_module, "effective_capabilities", lambda: frozenset(capabilities))
    monkeypatch.setattr(machine_module.resource, "getrlimit", lambda _: (8 << 20, hard_bytes))
    (finding,) = examine(Path("/"))["memlock"]
    assert finding.level == level
