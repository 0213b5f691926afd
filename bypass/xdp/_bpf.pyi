"""The cffi binding of libbpf, built from _bpf_build.py. Only bypass/xdp/libbpf.py uses it."""

from typing import Any

ffi: Any
lib: Any
