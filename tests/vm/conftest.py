"""Fixtures of the emulated guest. `make test-vm` runs them; they need root, QEMU and a kernel in .cache/vm.

A test names the network cards it wants by parametrizing `lab`; each machine boots once, since pytest orders
tests by the parameter of a session's fixture.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm.initramfs import CACHE, ROOT
from tests.vm.machine import kernel_version
from tests.vm.netlab import IGB, VIRTIO, VIRTIO_MULTI, VIRTIO_SLOW, Card, GuestLab

DOCUMENTATION = Path(os.environ.get("BYPASS_PYTHON_DOC", "/usr/share/doc/python3-doc/html"))
_VIRTIO = "disable-legacy=on,rx_queue_size=1024"
MACHINES: dict[str, list[Card]] = {
    "igb": [IGB],
    "virtio": [VIRTIO, VIRTIO_SLOW],
    "virtio-4": [VIRTIO_MULTI],
    "refusing": [
        Card("virtio-net-pci", _VIRTIO),
        Card("virtio-net-pci", f"{_VIRTIO},iommu_platform=on,queue_reset=off"),
        Card("virtio-net-pci", f"{_VIRTIO},iommu_platform=on,ctrl_guest_offloads=off"),
        Card("virtio-net-pci", f"{_VIRTIO},mq=on,vectors=10,rss=on", pairs=4),
    ],
}
DOCUMENTED = ("igb", "virtio")
"""Machines that hold the large site."""

figures: list[str] = []
"""Lines for the end of the run."""


@dataclass(frozen=True, slots=True)
class Sites:
    """A small folder and a large one, and the image of each."""

    small: Path
    small_image: Path
    large: Path
    large_image: Path


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Sites:
    folder = tmp_path_factory.mktemp("sites")
    _make_sites(folder)
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("emulated machines")
    for line in figures:
        terminalreporter.write_line(line)
