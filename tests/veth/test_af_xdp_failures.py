"""Every step of opening an AF_XDP socket fails once: the stage is named, and nothing is left behind.

Each case runs in a process of its own, with a preloaded library, a missing capability or a low limit.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from bypass.errors import PrivilegeError
from bypass.xdp.socket_errors import SocketRequest, explain
from tests.veth.netlab import VethLab

pytestmark = pytest.mark.root

OPEN = """
import json, sys
from bypass._probe_driver import XdpProbe
try:
    XdpProbe(int(sys.argv[1]), rx_frames=1024, tx_frames=1024)
    print(json.dumps(["", 0]))
except OSError as error:
    print(json.dumps([error.filename, error.errno]))
"""

FAIL_AT_EACH_CALL = """
import ctypes, errno, json, os, sys, time
from bypass._probe_driver import XdpProbe

library = ctypes.CDLL(sys.argv[2])
ifindex = int(sys.argv[1])

def left():
    with open("/proc/self/maps") as maps:
        rings = sum("socket:" in line for line in maps)
    return len(os.listdir("/proc/self/fd")), rings

def open_and_close(call):
    until = time.monotonic() + 5
    while True:
        library.fail_at(call)
        try:
            XdpProbe(ifindex, rx_frames=1024, tx_frames=1024).close()
            return ["", 0]
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                return [error.filename, error.errno]

open_and_close(0)
before = left()
stages = []
for call in range(1, 100):
    stage = open_and_close(call)
    if not library.has_failed():
        break
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    stages.append([*stage, left() == before, pages])
print(json.dumps(stages))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fail") / "fail_at.so"
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC")).split()[0]
    source = Path(__file__).with_name("fail_at.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


def _python(lab: VethLab, script: str, *arguments: str, wrapper: tuple[str, ...] = (), **env: str) -> Any:
    command = lab.pair.command([*wrapper, sys.executable, "-c", script, *arguments], server=True)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **env}, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_whichever_call_fails_its_stage_is_named_and_everything_is_released(
    lab: VethLab, library: Path
) -> None:
    stages = _python(lab, FAIL_AT_EACH_CALL, str(lab.ifindex), str(library), LD_PRELOAD=str(library))
    assert isinstance(stages, list)
    assert [stage for stage, *_ in stages] == [
        "memory",
        "umem",
        *["rings"] * 9,  # four sizes, the offsets, four mappings
        "",  # the TX budget, which is optional
        "bind",
        "options",
    ]
    for stage, code, released, pages in stages:
        assert code == (errno.ENOTTY if stage else 0)
        assert released, f"{stage}: descriptors or ring mappings are left"
        assert pages < stages[0][3] + 512, f"{stage}: the packet memory of 1024 pages is still mapped"


def test_without_cap_net_raw_the_message_names_the_capability(lab: VethLab) -> None:
    wrapper = ("setpriv", "--bounding-set=-net_raw")
    stage, code = _python(lab, OPEN, str(lab.ifindex), wrapper=wrapper)
    assert (stage, code) == ("socket", errno.EPERM)
    error = explain(OSError(code, "", stage), SocketRequest(lab.ifname, 0))
    assert isinstance(error, PrivilegeError)
    assert "CAP_NET_RAW" in str(error)


def test_a_low_memlock_limit_fails_at_the_umem(lab: VethLab) -> None:
    wrapper = ("setpriv", "--bounding-set=-ipc_lock", "prlimit", "--memlock=1048576")
    stage, code = _python(lab, OPEN, str(lab.ifindex), wrapper=wrapper)
    assert (stage, code) == ("umem", errno.ENOBUFS)


def test_cap_ipc_lock_lifts_the_memlock_limit(lab: VethLab) -> None:
    assert _python(lab, OPEN, str(lab.ifindex), wrapper=("prlimit", "--memlock=1048576")) == ["", 0]
