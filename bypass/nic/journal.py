"""What a NIC was like before it was changed, kept in a folder so that a crash of the tool loses nothing.

Owns: one file per interface, written whole and synced before each step; the lock that keeps two tools
apart. An interface is told by name and network namespace.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from bypass.errors import BypassError, PrivilegeError, UnavailableError
from bypass.nic.planner import Wish
from bypass.nic.settings import AnySetting
from bypass.nic.snapshot import Record

DEFAULT_FOLDER = Path("/var/lib/bypass/nic")
VERSION = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Owner(Record, frozen=True, kw_only=True):
    """Who has changed the NIC. kind: "apply", or "serve", whose process restores when it ends.

    started: of the process, in ticks since boot; with it a number that was given out again is told apart.
    """

    kind: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return start_ticks(self.pid) == self.started


class Journal(Record, frozen=True, kw_only=True):
    """before: every setting as it was. planned: those that we set, with the values they settled at.

    rounded: what was asked of the driver, and what it made of that. doing: the step that was begun last,
    while phase is "applying". after: every setting once all was done.
    previous: the journal that this apply continued, and start: every setting when it did; for undoing the
    last apply alone.
    rollback_at_s: when the change is undone unless confirmed, by the clock that counts since boot
    (CLOCK_BOOTTIME); None: it stays.
    """

    version: int = VERSION
    ifname: str
    ifindex: int
    boot_id: str
    owner: Owner
    wish: Wish
    phase: str
    before: tuple[AnySetting, ...]
    planned: tuple[AnySetting, ...] = ()
    rounded: tuple[tuple[AnySetting, AnySetting | None], ...] = ()
    doing: AnySetting | None = None
    after: tuple[AnySetting, ...] = ()
    previous: Journal | None = None
    start: tuple[AnySetting, ...] = ()
    rollback_at_s: float | None = None

    @property
    def overdue(self) -> bool:
        return self.rollback_at_s is not None and now_s() >= self.rollback_at_s

    @property
    def of_this_boot(self) -> bool:
        return self.boot_id == boot_id()

    @property
    def server_runs(self) -> bool:
        """A `serve --tune` has changed it and is still there to put it back."""
        return self.owner.kind == "serve" and self.of_this_boot and self.owner.alive


class Store:
    """The journals in one folder."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.folder = folder

    def load(self, ifname: str) -> Journal | None:
        """BypassError for a file that is not a journal."""
        path = self._path(ifname, "json")
        try:
            journal = msgspec.json.decode(path.read_bytes(), type=Journal)
            if journal.version != VERSION:
                raise msgspec.DecodeError(f"it is of version {journal.version}")
            return journal
        except FileNotFoundError:
            return None
        except PermissionError:
            raise PrivilegeError(
                f"{path}: cannot be read", why="this needs root", remedy="Run it with sudo"
            ) from None
        except (msgspec.DecodeError, OSError) as error:
            raise BypassError(
                f"{path}: not a journal of this version of bypass",
                why=str(error),
                remedy=f"Put {ifname} back by hand (ethtool), then remove the file",
            ) from error

    def save(self, journal: Journal) -> None:
        """On disk when it returns. BypassError when that cannot be; the last one is still there then."""
        path = self._path(journal.ifname, "json")
        draft = path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(journal)))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            self._sync_folder()
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise BypassError(f"{path}: cannot be written", why=error.strerror or str(error)) from error

    def remove(self, ifname: str) -> None:
        path = self._path(ifname, "json")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BypassError(
                f"{path}: cannot be removed",
                why=error.strerror or str(error),
                remedy=f"Nothing has to be put back any more on {ifname}: remove it by hand",
            ) from error
        with suppress(OSError):
            self._sync_folder()

    @contextmanager
    def lock(self, ifname: str, *, wait: bool = False) -> Iterator[None]:
        """Alone on this interface. UnavailableError when another tool is at it; PrivilegeError without root.

        wait: for the other one to end.
        """
        descriptor = self._open_lock(ifname)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode("ascii", errors="replace").strip()
                raise UnavailableError(
                    f"{ifname}: another 'bypass nic' is changing it (process {holder or '?'})",
                    remedy="Wait for it to end, then look with 'bypass nic verify'",
                ) from None
            with suppress(OSError):  # a full disk must not keep from restoring; the number is for people
                os.truncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, ifname: str) -> int:
        path = self._path(ifname, "lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except PermissionError:
            raise PrivilegeError(
                f"{self.folder}: cannot be written", why="this needs root", remedy="Run it with sudo"
            ) from None
        except OSError as error:
            raise BypassError(
                f"{self.folder}: cannot be used",
                why=str(error.strerror),
                remedy="Name another with --state-dir",
            ) from None

    def _path(self, ifname: str, suffix: str) -> Path:
        """UnavailableError for what cannot be a name: it would be a path to somewhere else."""
        if not may_be_interface(ifname):
            raise UnavailableError(f"{ifname!r}: no such interface", why="no interface can have such a name")
        return self.folder / f"{ifname}{_namespace_suffix()}.{suffix}"

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def may_be_interface(name: str) -> bool:
    """What the kernel takes as a name (dev_valid_name), and can be written as text."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < length < 16 and name not in (".", "..") and not re.search(r"[/:\s\0]", name)


def this_owner(kind: str) -> Owner:
    return Owner(kind=kind, pid=os.getpid(), started=start_ticks(os.getpid()))


def start_ticks(pid: int) -> int:
    """When the process started; -1 when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])


def boot_id() -> str:
    """Another one after each start of the machine."""
    return _BOOT_ID.read_text().strip()


def now_s() -> float:
    """Seconds since boot, time asleep included; the same for every process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _namespace_suffix() -> str:
    """Nothing in the machine's own network namespace: an interface of that name is another elsewhere.

    Who may not look at process 1 is taken to be in that namespace.
    """
    here = os.stat("/proc/thread-self/ns/net").st_ino
    try:
        return "" if here == os.stat("/proc/1/ns/net").st_ino else f"@{here}"
    except OSError:
        return ""
