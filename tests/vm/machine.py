"""An emulated machine and the shell on its second serial port.

Owns: the QEMU process and the control channel. Does not know networks beyond the device arguments it
is given, nor what is run in the guest.
"""

from __future__ import annotations

import contextlib
import platform
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.vm.initramfs import CACHE
from tests.vm.kernel import unpacked_kernel

BOOT_S = 300.0  # seconds on a machine that has nothing else to do, minutes on one that has
MEMORY_MIB = 900
CPUS = 2
_KERNEL_ARGUMENTS = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr net.ifnames=0"
_KERNEL_ARGUMENTS += " cryptomgr.notests init_on_alloc=0 nowatchdog audit=0"
_CPU = "max,la57=off,erms=off,fsrm=off,fzrm=off,fsrs=off"
"""Without what has kernel and libraries copy by `rep movsb`, which is emulated octet by octet."""
_EMULATOR = CACHE / "emulator"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command in the guest amounted to. `output`: stdout and stderr as they came."""

    status: int
    output: str


class Machine:
    """A guest from power-on to power-off; entering returns once its shell answers.

    folder: an empty one for sockets and logs. wrapper: what the emulator is started through.
    """

    def __init__(
        self, folder: Path, initrds: Sequence[Path], devices: Sequence[str], wrapper: Sequence[str]
    ) -> None:
        self._folder = folder
        self._initrds = initrds
        self._command = [*wrapper, *_emulator(folder, devices)]
        self._process: subprocess.Popen[bytes] | None = None
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._received = b""
        self._calls = 0
        self.boot_s = 0.0

    def __enter__(self) -> Self:
        started = time.monotonic()
        try:
            with (self._folder / "initrd").open("wb") as whole:
                for part in self._initrds:
                    whole.write(part.read_bytes())
            self._process = subprocess.Popen(self._command, cwd=self._folder, stderr=subprocess.PIPE)
            self._connect(started + BOOT_S)
            self._read_until(b"guest is ready\n", started + BOOT_S)
        except BaseException:
            self.close()
            raise
        self.boot_s = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Power off; harmless when repeated."""
        self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None
        with contextlib.suppress(FileNotFoundError):
            (self._folder / "initrd").unlink()

    def run(self, command: str, timeout_s: float = 30.0) -> Done:
        """Runs a shell command. TimeoutError, with what it said so far, when it does not end in time."""
        self._calls += 1
        mark = f"end-{self._calls}"
        self._channel.sendall(f"{{ {command}\n}} </dev/null 2>&1; s=$?; echo; echo {mark} $s\n".encode())
        said = self._read_until(f"\n{mark} ".encode(), time.monotonic() + timeout_s)
        status = self._read_until(b"\n", time.monotonic() + 5.0)
        return Done(int(status), said.decode(errors="replace").replace("\r\n", "\n"))

    def console(self) -> str:
        """What the kernel wrote."""
        return (self._folder / "console.log").read_text(errors="replace")

    def _connect(self, deadline: float) -> None:
        while True:
            try:
                self._channel.connect(str(self._folder / "control"))
                return
            except OSError:
                self._require_running()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _read_until(self, end: bytes, deadline: float) -> bytes:
        """What came before `end`, which is taken away too."""
        while end not in self._received:
            self._channel.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                more = self._channel.recv(65536)
            except TimeoutError:
                tail = self._received[-2000:].decode(errors="replace")
                raise TimeoutError(
                    f"no answer from the guest; it said: {tail}\n{self._last_words()}"
                ) from None
            except ConnectionResetError:
                more = b""
            if not more:
                self._require_running()
                raise ConnectionError(f"the guest closed its shell\n{self._last_words()}")
            self._received += more
        before, _, self._received = self._received.partition(end)
        return before

    def _require_running(self) -> None:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.1)
        if self._process.poll() is not None:
            words = self._process.stderr.read().decode() if self._process.stderr else ""
            raise RuntimeError(f"QEMU ended with {self._process.returncode}: {words}\n{self._last_words()}")

    def _last_words(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return f"console: {self.console()[-2000:]}"
        return "no console output"


def kernel_version() -> str:
    return (CACHE / "kernel" / "vmlinuz").resolve().parent.name


def _emulator(folder: Path, devices: Sequence[str]) -> list[str]:
    """QEMU without hardware virtualisation: it emulates the same everywhere."""
    triplet = f"{platform.machine()}-linux-gnu"
    libraries = ":".join(str(_EMULATOR / part / triplet) for part in ("usr/lib", "lib"))
    command = ["env", f"LD_LIBRARY_PATH={libraries}", str(_EMULATOR / "usr/bin/qemu-system-x86_64")]
    for data in ("qemu", "seabios"):
        command += ["-L", str(_EMULATOR / "usr/share" / data)]
    command += ["-accel", "tcg,thread=multi", "-machine", "q35,usb=off,vmport=off", "-cpu", _CPU]
    command += ["-smp", str(CPUS), "-m", str(MEMORY_MIB), "-nodefaults", "-nographic", "-display", "none"]
    command += ["-no-reboot", "-kernel", str(unpacked_kernel(CACHE / "kernel"))]
    command += ["-initrd", str(folder / "initrd"), "-append", _KERNEL_ARGUMENTS]
    command += ["-serial", f"file:{folder / 'console.log'}"]
    command += ["-serial", f"unix:{folder / 'control'},server=on,wait=off"]
    return [*command, *devices]
