"""Typed calls of libbpf: objects, maps, XDP links and queries.

Owns: conversion between Python values and C, and errors as OSError with what libbpf logged. Does
not know our program or its maps. Everything happens in the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bypass.xdp._bpf import ffi, lib

LOG_LINES = 12


class LibbpfError(OSError):
    """A failed call: errno, the call, and the last lines that libbpf and the verifier wrote."""

    def __init__(self, code: int, call: str) -> None:
        super().__init__(code, os.strerror(code))
        self.call = call
        lines = [line for line in _log().splitlines() if line.strip()]
        self.log = "\n".join(lines[-LOG_LINES:])


class AttachMode(IntEnum):
    """Where a program runs, as the kernel reports it (XDP_ATTACHED_* of linux/if_link.h)."""

    NATIVE = 1
    GENERIC = 2
    HARDWARE = 3
    SEVERAL = 4


@dataclass(frozen=True)
class Attached:
    """The XDP program that is attached to an interface."""

    mode: AttachMode
    program_id: int


class BpfObject:
    """An object file's programs and maps, from opening until close()."""

    def __init__(self, data: bytes, name: str) -> None:
        lib.shim_capture()
        self._object: Any = lib.shim_open(data, len(data), name.encode())
        if self._object == ffi.NULL:
            raise LibbpfError(ffi.errno, "bpf_object__open_mem")

    def set_max_entries(self, map_name: str, entries: int) -> None:
        """Resizes a map; only before load()."""
        _check(lib.bpf_map__set_max_entries(self._map(map_name), entries), "bpf_map__set_max_entries")

    def load(self) -> None:
        """Creates the maps and has the verifier accept the programs."""
        lib.shim_capture()
        _check(lib.bpf_object__load(self._object), "bpf_object__load")

    def map_fd(self, name: str) -> int:
        return _check(lib.bpf_map__fd(self._map(name)), "bpf_map__fd")

    def program_fd(self, name: str) -> int:
        program = lib.bpf_object__find_program_by_name(self._object, name.encode())
        if program == ffi.NULL:
            raise LibbpfError(errno.ENOENT, f"program {name}")
        return _check(lib.bpf_program__fd(program), "bpf_program__fd")

    def close(self) -> None:
        """Lets go of programs and maps; what is attached or held by a descriptor lives on."""
        if self._object != ffi.NULL:
            lib.bpf_object__close(self._object)
            self._object = ffi.NULL

    def _map(self, name: str) -> Any:
        found = lib.bpf_object__find_map_by_name(self._object, name.encode())
        if found == ffi.NULL:
            raise LibbpfError(errno.ENOENT, f"map {name}")
        return found


def link_xdp(program_fd: int, ifindex: int, *, generic: bool) -> int:
    """Attaches a program by bpf_link; closing the returned descriptor detaches it."""
    lib.shim_capture()
    flags = lib.XDP_FLAGS_SKB_MODE if generic else lib.XDP_FLAGS_DRV_MODE
    return _check(lib.shim_link_xdp(program_fd, ifindex, flags), "bpf_link_create")


def query_xdp(ifindex: int) -> Attached | None:
    """The program attached to an interface, or None."""
    lib.shim_capture()
    attached = ffi.new("struct shim_attached *")
    _check(lib.shim_query(ifindex, attached), "bpf_xdp_query")
    return Attached(AttachMode(attached.mode), attached.program) if attached.mode else None


def program_name(program_id: int) -> str:
    """The name of a loaded program; needs CAP_SYS_ADMIN."""
    name = ffi.new("char[16]")
    _check(lib.shim_program_name(program_id, name), "bpf_prog_get_fd_by_id")
    return bytes(ffi.string(name)).decode(errors="replace")


def map_update(map_fd: int, key: bytes, value: bytes) -> None:
    _check(lib.shim_update(map_fd, key, value), "bpf_map_update_elem")


def map_delete(map_fd: int, key: bytes) -> None:
    _check(lib.shim_delete(map_fd, key), "bpf_map_delete_elem")


def map_lookup(map_fd: int, key: bytes, value_bytes: int) -> bytes:
    value = ffi.new("unsigned char[]", value_bytes)
    _check(lib.shim_lookup(map_fd, key, value), "bpf_map_lookup_elem")
    return bytes(ffi.buffer(value))


def possible_cpus() -> int:
    """How many values a per-CPU map holds for one key."""
    return _check(lib.libbpf_num_possible_cpus(), "libbpf_num_possible_cpus")


def version() -> str:
    """Of the libbpf that is loaded, such as "1.1"."""
    return bytes(ffi.string(lib.libbpf_version_string())).decode().removeprefix("v")


def _check(result: int, call: str) -> int:
    if result < 0:
        raise LibbpfError(-result, call)
    return result


def _log() -> str:
    return bytes(ffi.string(lib.shim_log())).decode(errors="replace")
