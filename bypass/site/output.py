"""Where an image goes: a file that appears whole or not at all, or memory shared with the workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from bypass.errors import SiteError
from bypass.site.builder import SiteBuilder
from bypass.site.cachefile import SUFFIX, load_memory, save_memory
from bypass.site.compile import Progress, SiteSummary
from bypass.site.describe import NOTHING_SET
from bypass.site.limits import default_limit_bytes
from bypass.site.rules.settings import SiteConfig
from bypass.site.text import format_bytes

_F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h, since 5.1; Python 3.11 has no name for it


def build_image_file(
    root: Path | None,
    path: Path,
    *,
    config: SiteConfig = NOTHING_SET,
    max_bytes: int | None = None,
    progress: Progress | None = None,
    cache: bool = False,
    threads: int = 0,
) -> SiteSummary:
    """Compiles `root`, or where that is None the hosts of `config`, into the file `path`, by way of a
    temporary name beside it.

    An older image at `path` stays valid for those who have it mapped, and is not part of the site
    when it lies within the root. cache: use what the last build left beside the image, and leave it for the
    next. threads: that compress, 0: one for each CPU. Raises SiteError; then `path` is as it was.
    """
    remembered = path.with_name(path.name + SUFFIX)
    known = load_memory(remembered, path) if cache else None
    memory, image = known or (None, None)
    builder = SiteBuilder(root, max_bytes=max_bytes, threads=threads, memory=memory, image=image)
    try:
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(fd, "r+b") as output:
            exclude = _identity(path) + _identity(remembered)
            summary = builder.build(output.fileno(), config, progress=progress, exclude=exclude)
            os.fchmod(output.fileno(), 0o666 & ~_umask())
            os.fsync(output.fileno())
        os.rename(temporary, path)
        _sync_folder(path.parent)
        if cache and builder.image is not None:
            save_memory(remembered, builder.memory, builder.image)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from None
        raise
    return summary


def compile_to_memfd(
    root: Path | None,
    *,
    config: SiteConfig = NOTHING_SET,
    max_bytes: int | None = None,
    progress: Progress | None = None,
    builder: SiteBuilder | None = None,
    large_bytes: int = 0,
) -> tuple[int, SiteSummary]:
    """Compiles `root` into anonymous memory: (descriptor, summary). The caller closes the descriptor.

    builder: of the last time, to have less to do; it knows itself which files stay outside. Else it is those
    of `large_bytes` and more, 0: none. The memory can no longer be written or resized, whoever
    inherits the descriptor. Raises SiteError.
    """
    builder = builder or SiteBuilder(root, max_bytes=max_bytes, large_bytes=large_bytes)
    fd = os.memfd_create("bypass-site", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        summary = builder.build(fd, config, progress=progress)
        seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, summary


def copy_to_memfd(image: Path, *, max_bytes: int | None = None) -> int:
    """A descriptor of anonymous memory with the file's octets, which nobody can change any more: a file that
    is overwritten or cut while it is mapped would end the server. Raises SiteError."""
    limit_bytes = default_limit_bytes() if max_bytes is None else max_bytes
    fd = os.memfd_create("bypass-site", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with image.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            if size > limit_bytes:
                raise SiteError(
                    f"{image}: the image has {format_bytes(size)}, allowed are {format_bytes(limit_bytes)}",
                    remedy="Allow more with --max-memory",
                )
            while os.sendfile(fd, source.fileno(), None, 1 << 30):
                pass
        seal(fd)
    except OSError as error:
        os.close(fd)
        raise SiteError(f"{image}: cannot be read", why=error.strerror or str(error)) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def seal(fd: int) -> None:
    """Nobody can change what is in this anonymous memory from now on."""
    # Not F_SEAL_WRITE: before kernel 6.7 that forbids shared mappings, read-only ones too.
    resize = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, resize | _F_SEAL_FUTURE_WRITE)
    except OSError:  # kernel before 5.1
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, resize)


def _identity(path: Path) -> tuple[tuple[int, int], ...]:
    try:
        about = os.stat(path)
    except OSError:
        return ()
    return ((about.st_dev, about.st_ino),)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritable(path: Path, error: OSError) -> SiteError:
    return SiteError(
        f"{path}: the image cannot be written",
        why=error.strerror or type(error).__name__,
        remedy="Name a place in an existing folder that you may write to.",
    )
