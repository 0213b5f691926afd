"""What /proc and /sys say of interrupts, queues, CPUs and memory, and the writing of the same files.

Owns: paths and their formats. /sys/class/net shows one network namespace: SysfsDevice is had only where it
is the one of the interface.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bypass.nic.settings import spans

_MOST_NUMBERS = 65536
"""More CPUs and queues than Linux has on any machine."""
PROC, SYS = Path("/proc"), Path("/sys")
_HUGEPAGES = PROC / "sys/vm/nr_hugepages"
_SIDES = {"txrx": "rx", "rxtx": "rx", "rx": "rx", "input": "rx", "comp": "rx", "tx": "tx", "output": "tx"}
_QUEUE_NAME = re.compile(r"(TxRx|RxTx|input|output|comp|rx|tx)[-._]?(\d+)?(?!.*(?:rx|tx)[-._]?\d)", re.I)


def parse_list(text: str) -> tuple[int, ...]:
    """The kernel's lists of numbers: "0-2,5" is (0, 1, 2, 5). ValueError for another text, or too many."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if len(found) + len(numbers) > _MOST_NUMBERS:
            raise ValueError(f"at most {_MOST_NUMBERS} numbers")
        found += numbers
    return tuple(found)


def parse_mask(text: str) -> tuple[int, ...]:
    """The kernel's masks of CPUs: "1,00000005" is (0, 2, 32)."""
    mask = int(text.strip().replace(",", "") or "0", 16)
    return tuple(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


def format_mask(cpus: Iterable[int]) -> str:
    digits = f"{sum(1 << cpu for cpu in set(cpus)):x}"
    length = -(-len(digits) // 8) * 8
    padded = digits.zfill(length)
    return ",".join(padded[place : place + 8] for place in range(0, length, 8))


# -- interrupts


def interrupts() -> dict[int, tuple[str, dict[int, int]]]:
    """Interrupt -> the name that the driver gave it, and how often it arrived by CPU."""
    lines = (PROC / "interrupts").read_text(errors="replace").splitlines()
    cpus = [int(word[3:]) for word in lines[0].split()]
    found = {}
    for line in lines[1:]:
        number, _, rest = line.partition(":")
        words = rest.split()
        if number.strip().isdigit() and len(words) > len(cpus):
            counts = dict(zip(cpus, map(int, words[: len(cpus)]), strict=True))
            found[int(number)] = (words[-1], counts)
    return found


def queue_of_interrupt(name: str) -> tuple[str, int] | None:
    """Side ("rx" for those that serve both) and queue in names such as eth0-TxRx-3 or virtio2-output.0."""
    match = _QUEUE_NAME.search(name)
    if match is None or match[2] is None:
        return None
    return _SIDES[match[1].lower()], int(match[2])


def affinity(irq: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """CPUs that it may arrive on, and those it does arrive on."""
    folder = PROC / "irq" / str(irq)
    return (
        parse_list(_read(folder / "smp_affinity_list") or ""),
        parse_list(_read(folder / "effective_affinity_list") or ""),
    )


def set_affinity(irq: int, cpus: Iterable[int]) -> None:
    _write(PROC / "irq" / str(irq) / "smp_affinity_list", spans(sorted(cpus)))


# -- one interface


class SysfsDevice:
    """/sys/class/net/IF."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def numa_node(self) -> int:
        for place in ("device/numa_node", "device/../numa_node"):
            text = _read(self._folder / place)
            if text is not None:
                return int(text)
        return -1

    def interrupts(self) -> list[int]:
        """Numbers of the device's interrupts, in the order in which they were made."""
        for place in ("device/msi_irqs", "device/../msi_irqs"):
            with suppress(OSError):
                return sorted(int(name) for name in os.listdir(self._folder / place))
        return []

    def napi(self) -> tuple[int, int, bool | None] | None:
        """napi_defer_hard_irqs, gro_flush_timeout in ns, threaded."""
        defer, flush = self._number("napi_defer_hard_irqs"), self._number("gro_flush_timeout")
        if defer is None or flush is None:
            return None
        threaded = self._number("threaded")
        return defer, flush, None if threaded is None else bool(threaded)

    def set_napi(self, defer_hard_irqs: int, gro_flush_timeout_ns: int) -> None:
        _write(self._folder / "napi_defer_hard_irqs", str(defer_hard_irqs))
        _write(self._folder / "gro_flush_timeout", str(gro_flush_timeout_ns))

    def set_threaded(self, on: bool) -> None:
        _write(self._folder / "threaded", str(int(on)))

    def steering(self, side: str, queue: int) -> tuple[int, ...] | None:
        """RPS of a receive queue ("rx"), XPS of a transmit queue ("tx")."""
        text = _read(self._steering(side, queue))
        return None if text is None else parse_mask(text)

    def set_steering(self, side: str, queue: int, cpus: Iterable[int]) -> None:
        _write(self._steering(side, queue), format_mask(cpus))

    def steering_path(self, side: str, queue: int) -> Path:
        return self._steering(side, queue)

    def _steering(self, side: str, queue: int) -> Path:
        return self._folder / "queues" / f"{side}-{queue}" / ("rps_cpus" if side == "rx" else "xps_cpus")

    def _number(self, name: str) -> int | None:
        text = _read(self._folder / name)
        return None if text is None else int(text)


def sysfs_device(ifname: str, ifindex: int, mac: str) -> SysfsDevice | None:
    """None where /sys shows another network namespace."""
    folder = SYS / "class/net" / ifname
    same = _read(folder / "ifindex") == str(ifindex) and _read(folder / "address") == mac
    return SysfsDevice(folder) if same else None


# -- the machine


def online_cpus() -> tuple[int, ...]:
    return parse_list(_read(SYS / "devices/system/cpu/online") or "0")


def isolated_cpus() -> tuple[int, ...]:
    return parse_list(_read(SYS / "devices/system/cpu/isolated") or "")


def numa_nodes() -> dict[int, tuple[int, ...]]:
    folders = (SYS / "devices/system/node").glob("node[0-9]*")
    found = {int(folder.name[4:]): parse_list(_read(folder / "cpulist") or "") for folder in folders}
    return dict(sorted(found.items())) or {0: online_cpus()}


def governors() -> dict[int, str]:
    """By CPU; empty where the machine does not scale frequencies, as in guests."""
    found = {
        cpu: _read(SYS / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor") for cpu in online_cpus()
    }
    return {cpu: governor for cpu, governor in found.items() if governor}


def hugepages() -> tuple[int, int, int] | None:
    """Reserved, free, and the size of one in bytes."""
    facts = dict(re.findall(r"^(HugePages_Total|HugePages_Free|Hugepagesize):\s+(\d+)", _meminfo(), re.M))
    if len(facts) < 3 or not _HUGEPAGES.exists():
        return None
    return int(facts["HugePages_Total"]), int(facts["HugePages_Free"]), int(facts["Hugepagesize"]) * 1024


def available_bytes() -> int | None:
    """Memory that could be had without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+)", _meminfo(), re.M)
    return int(found[1]) * 1024 if found else None


def set_hugepages(count: int) -> None:
    """Fewer may come of it, where memory is too fragmented."""
    _write(_HUGEPAGES, str(count))


def memlock_bytes() -> int | None:
    """The soft limit of this process on locked memory; None: no limit."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def process_named(name: str) -> bool:
    """Whether a process of that name runs."""
    return any(_read(folder / "comm") == name for folder in PROC.glob("[0-9]*"))


def xdp_links(ifindex: int) -> dict[int, list[str]]:
    """Program id -> processes ("name (pid)") that hold a bpf_link of it on the interface."""
    found: dict[int, list[str]] = {}
    for folder in PROC.glob("[0-9]*"):
        for number in _open_files(folder):
            program = _linked_program(folder / "fdinfo" / number, ifindex)
            if program is not None:
                owner = f"{_read(folder / 'comm')} ({folder.name})"
                found.setdefault(program, []).append(owner)
    return {program: sorted(set(owners)) for program, owners in found.items()}


def _open_files(process: Path) -> Iterator[str]:
    """Numbers of those that are links of BPF. One that is closed meanwhile does not hide the next."""
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir(process / "fd")
    for name in names:
        with suppress(OSError):
            if os.readlink(process / "fd" / name) == "anon_inode:bpf_link":
                yield name


def takes_xdp_frames(pid: int) -> bool:
    """Whether the process has an AF_XDP fill ring mapped (page offset 0x100000000 of a socket)."""
    return any(
        "socket:" in line and line.split()[2] == "100000000"
        for line in (_read(PROC / str(pid) / "maps") or "").splitlines()
    )


def _linked_program(fdinfo: Path, ifindex: int) -> int | None:
    facts = dict(line.split(":", 1) for line in (_read(fdinfo) or "").splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    if facts.get("link_type") != "xdp" or facts.get("ifindex") != str(ifindex):
        return None
    return int(facts["prog_id"])


def _meminfo() -> str:
    return _read(PROC / "meminfo") or ""


def _read(path: Path) -> str | None:
    """Names of processes are whatever octets somebody chose."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
