"""Fixtures of the emulated guest. `make test-vm` runs them; they need root, QEMU and a kernel in .cache/vm.

A test names the network cards it wants by parametrizing `lab`. Two processes may share the run (pytest-xdist):
all tests of a machine are then one group, so that each machine boots once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm.initramfs import CACHE, ROOT
from tests.vm.machine import kernel_version
from tests.vm.netlab import IGB, VIRTIO, VIRTIO_MULTI, Card, GuestLab

DOCUMENTATION = Path(os.environ.get("BYPASS_PYTHON_DOC", "/usr/share/doc/python3-doc/html"))
_VIRTIO = "disable-legacy=on,rx_queue_size=1024"
MACHINES: dict[str, list[Card]] = {
    "igb": [IGB],
    "virtio": [VIRTIO],
    "virtio-4": [VIRTIO_MULTI],
    "refusing": [
        Card("virtio-net-pci", _VIRTIO),
        Card("virtio-net-pci", f"{_VIRTIO},iommu_platform=on,queue_reset=off"),
        Card("virtio-net-pci", f"{_VIRTIO},iommu_platform=on,ctrl_guest_offloads=off"),
    ],
}
DOCUMENTED = ("igb", "virtio")
"""Machines that hold the large site."""

figures: list[str] = []
"""Lines for the end of the run, taken along by the next report."""


@dataclass(frozen=True, slots=True)
class Sites:
    """A small folder and a large one, and the image of each."""

    small: Path
    small_image: Path
    large: Path
    large_image: Path


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Sites:
    """Made by whichever process of the run comes first."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "sites"
    with (shared / "sites.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = shared / "sites.new"
            draft.mkdir()
            _make_sites(draft)
            draft.rename(folder)
    small, large = folder / "small", folder / "documentation"
    return Sites(small, Path(f"{small}.img"), large, Path(f"{large}.img"))


def _make_sites(folder: Path) -> None:
    small, large = folder / "small", folder / "documentation"
    small.mkdir()
    (small / "index.html").write_bytes(b"hello, world\n" * 5)
    (small / "large.bin").write_bytes(os.urandom(1_000_000))
    # Links out of the tree (shared JavaScript) become files of its own.
    shutil.copytree(DOCUMENTATION.resolve(), large, ignore_dangling_symlinks=True)
    for site in (small, large):
        command = [sys.executable, "-m", "bypass", "-q", "build", str(site), "-o", f"{site}.img"]
        subprocess.run(command, cwd=ROOT, check=True)


@pytest.fixture(scope="session", autouse=True)
def orderly_end() -> Iterator[None]:
    """SIGTERM takes machines and namespaces down, as an interrupt from the keyboard does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, sites: Sites) -> Iterator[GuestLab]:
    """The machine of MACHINES that the test names, booted."""
    for part in ("emulator", "kernel"):
        if not (CACHE / part / "ready").exists():
            pytest.exit(f"no {part} in {CACHE}: run 'make test-vm', which gets it", returncode=1)
    files = {"srv/site.img": sites.small_image}
    if request.param in DOCUMENTED:
        files["srv/large.img"] = sites.large_image
    with GuestLab(MACHINES[request.param], files) as made:
        figures.append(f"{request.param}: booted in {made.machine.boot_s:.1f} s, Linux {kernel_version()}")
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "lab" in callspec.params:
            item.add_marker(pytest.mark.xdist_group(callspec.params["lab"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.user_properties += [("figure", line) for line in figures]
    figures.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("emulated machines")
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == "figure":
                    terminalreporter.write_line(line)
