"""Drivers reset the link when a program is attached: it is waited for, and not for ever."""

from __future__ import annotations

import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bypass.serve import effects
from tests.veth.netlab import VethLab

pytestmark = pytest.mark.root
GONE_S = 0.3


def plan_of(lab: VethLab) -> Any:
    interface = SimpleNamespace(name=lab.ifname, index=lab.ifindex)
    return SimpleNamespace(interface=interface, driver="veth", takes_every_queue=False)


def set_link(lab: VethLab, state: str) -> None:
    """The carrier of the server's end is that of the client's end."""
    assert lab.run(["ip", "link", "set", lab.pair.client.ifname, state]).returncode == 0


def test_a_link_that_comes_back_is_waited_for(lab: VethLab) -> None:
    notices: list[str] = []
    with lab.pair.inside_server():
        looked = effects.AttachEffects(plan_of(lab))
        set_link(lab, "down")
        up = f"sleep {GONE_S}; ip link set {lab.pair.client.ifname} up"
        started = time.monotonic()
        with subprocess.Popen(lab.pair.command(["sh", "-c", up])):
            looked.settle(notices.append)
            took_s = time.monotonic() - started
    assert took_s >= GONE_S
    assert notices == []


def test_a_link_that_stays_away_is_told_of(lab: VethLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "LINK_TIMEOUT_S", GONE_S)
    notices: list[str] = []
    with lab.pair.inside_server():
        looked = effects.AttachEffects(plan_of(lab))
        set_link(lab, "down")
        looked.settle(notices.append)
    assert len(notices) == 1
    assert notices[0].startswith(f"{lab.ifname}: no link")
