"""The guest's root file system: busybox, a Python with what bypass needs, network tools, driver modules.

Two archives that the kernel unpacks one over the other: the base, kept in .cache/vm as long as what it
is made of stays the same, and the project with a test's files, made for each run. What is in them is
taken from this machine; nothing is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import lzma
import marshal
import os
import re
import struct
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.vm.cpio import CpioArchive

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "vm"
INIT = Path(__file__).with_name("init.sh")
MODULES = ("igb", "virtio_net")
TOOLS = ("/usr/sbin/ip", "/usr/sbin/ethtool")
PACKAGES, PROJECT = "srv/packages", "srv/project"
_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_UNUSED = {
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "distutils"),
    *("pydoc_data", "site-packages", "dist-packages", "__pycache__"),
}


def base_archive() -> Path:
    """The base, made if what it consists of has changed."""
    made = CACHE / f"base-{_base_digest()}.cpio"
    with (CACHE / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        _make_base(made)
    return made


def _make_base(made: Path) -> None:
    if not made.exists():
        for old in CACHE.glob("base-*.cpio"):
            old.unlink()
        draft = made.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as out:
            archive = CpioArchive(out)
            _add_system(archive)
            _add_python(archive)
            _add_modules(archive)
            archive.close()
        draft.rename(made)


def project_archive(target: Path, files: dict[str, Path]) -> Path:
    """The project's package as it is in this tree, and further files by their path in the guest."""
    with target.open("wb") as out:
        archive = CpioArchive(out)
        for path in sorted((ROOT / "bypass").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _add_importable(archive, f"{PROJECT}/{path.relative_to(ROOT)}", path)
        for name, path in files.items():
            archive.copy(name, path)
        archive.close()
    return target


def _base_digest() -> str:
    parts = [sys.version, INIT.read_text(), Path(__file__).read_text(), *TOOLS]
    parts += [f"{name} {importlib.metadata.version(name)}" for name in sorted(_distributions())]
    parts += [os.readlink(CACHE / "kernel" / "vmlinuz")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _add_system(archive: CpioArchive) -> None:
    for link, target in _MERGED.items():
        archive.folder(target)
        archive.link(link, target)
    for folder in ("proc", "sys", "dev", "run", "tmp", "root", "etc"):
        archive.folder(folder)
    archive.file("init", INIT.read_bytes(), executable=True)
    archive.copy("usr/bin/busybox", next((CACHE / "emulator").glob("*bin/busybox")))
    for tool in TOOLS:
        archive.copy(_merged(tool), Path(tool))
    _add_libraries(archive, map(Path, TOOLS))


def _add_python(archive: CpioArchive) -> None:
    binary = Path(sys.executable).resolve()
    archive.copy(_merged(str(binary)), binary)
    archive.link("usr/bin/python3", _absolute(binary))
    libraries = [binary]
    for path in _standard_library():
        _add_importable(archive, _merged(str(path)), path)
        libraries += [path] * (".so" in path.suffixes)
    for name in _distributions():
        for part in importlib.metadata.files(name) or ():
            path = Path(str(part.locate()))
            if ".." not in part.parts and "__pycache__" not in part.parts and path.is_file():
                _add_importable(archive, f"{PACKAGES}/{part}", path)
                libraries += [path] * (".so" in path.suffixes)
    # What the compiled parts of the project itself are linked against.
    libraries += [*(ROOT / "bypass").rglob("*.so")]
    _add_libraries(archive, libraries)


def _standard_library() -> Iterator[Path]:
    for place in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}:
        for folder, names, files in os.walk(place):
            names[:] = [name for name in names if name not in _UNUSED and not name.startswith("config-")]
            yield from (Path(folder, name) for name in files if not name.startswith("_test"))


def _distributions() -> set[str]:
    """Names of what bypass needs to run, and what that needs in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    wanted = [_name(line) for line in project["dependencies"]]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        found.add(name)
        wanted += [_name(line) for line in lines if "extra ==" not in line]
    return found


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _add_importable(archive: CpioArchive, target: str, source: Path) -> None:
    """A module also as byte code that is not checked against it: compiling is slow when emulated."""
    data = source.read_bytes()
    archive.file(target, data)
    if source.suffix != ".py":
        return
    code = _compiled_before(source) or _compiled_now(data, target)
    if code:
        header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(data)
        archive.file(importlib.util.cache_from_source(target), header + code)


def _compiled_before(source: Path) -> bytes:
    """The code of this machine's own cache of the module, as long as that is up to date; else nothing."""
    try:
        cached = Path(importlib.util.cache_from_source(str(source))).read_bytes()
    except OSError:
        return b""
    about = source.stat()
    stamp = (0, int(about.st_mtime) & 0xFFFFFFFF, about.st_size & 0xFFFFFFFF)
    good = cached[:4] == importlib.util.MAGIC_NUMBER and struct.unpack_from("<III", cached, 4) == stamp
    return cached[16:] if good else b""


def _compiled_now(data: bytes, target: str) -> bytes:
    try:
        return marshal.dumps(compile(data, "/" + target, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return b""  # a template, or of a newer Python


def _add_libraries(archive: CpioArchive, binaries: Iterable[Path]) -> None:
    """The shared libraries that these binaries need, and the loader."""
    for binary in binaries:
        listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
        for path in re.findall(r"(/\S+) \(0x", listed):
            if _merged(path) not in archive:
                archive.copy(_merged(path), Path(path))


def _merged(path: str) -> str:
    """Where a file of this machine lies in the guest, which has all of /bin, /lib and so on below /usr."""
    first, _, rest = path.lstrip("/").partition("/")
    return f"{_MERGED.get(first, first)}/{rest}"


def _absolute(path: Path) -> str:
    return "/" + _merged(str(path))


def _add_modules(archive: CpioArchive) -> None:
    """MODULES and what they depend on, unpacked, numbered in the order in which they are loaded."""
    files = {_module_name(path): path for path in (CACHE / "kernel").rglob("*.ko*")}
    for number, name in enumerate(_load_order(files)):
        archive.file(f"modules/{number:02}-{name}.ko", _module(files[name]))


def _load_order(files: dict[str, Path]) -> list[str]:
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in files:  # or built into the kernel
            return
        depends = re.search(rb"\0depends=([^\0]*)", _module(files[name]))
        for other in (depends[1].decode() if depends else "").split(","):
            visit(other.replace("-", "_"))
        order.append(name)

    for name in MODULES:
        visit(name)
    return order


def _module(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")
