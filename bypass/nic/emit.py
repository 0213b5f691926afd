"""A plan as something that lasts: a shell script, or a systemd .link file. Both only print."""

from __future__ import annotations

from bypass.nic.commands import command_for
from bypass.nic.planner import Plan
from bypass.nic.settings import AnySetting, Channels, Coalesce, Feature, Rings
from bypass.nic.snapshot import Snapshot

_LINK_FEATURES = {
    "rx-gro": "GenericReceiveOffload",
    "rx-gro-hw": "GenericReceiveOffloadHardware",
    "rx-lro": "LargeReceiveOffload",
    "rx-vlan-hw-parse": "ReceiveVLANCTAGHardwareAcceleration",
    "rx-ntuple-filter": "NTupleFilter",
    "tx-tcp-segmentation": "TCPSegmentationOffload",
    "tx-generic-segmentation": "GenericSegmentationOffload",
}
"""The kernel's name of an offload -> option of systemd.link(5)."""


def script(plan: Plan, seen: Snapshot) -> str:
    """ethtool lines in the plan's order, each with its reason."""
    lines = [
        "#!/bin/sh",
        _comment(f"{seen.link.name} ({seen.link.driver}): the plan of 'bypass nic plan'."),
        "set -e",
    ]
    for step in plan.steps:
        lines.append(_comment(step.reason))
        if step.warning:
            lines.append(_comment(step.warning))
        lines.append(command_for(step.after, seen))
    return "\n".join(lines) + "\n"


def link_file(plan: Plan, seen: Snapshot) -> str:
    """What systemd-udevd can set when the interface appears; the rest as comments."""
    options: list[str] = []
    others: list[str] = []
    for step in plan.steps:
        found = _link_options(step.after)
        options += found
        if not found:
            others.append(_comment(f"not in systemd.link: {command_for(step.after, seen)}"))
    head = [
        _comment(f"/etc/systemd/network/10-{seen.link.name}.link: as 'bypass nic plan' would set it now."),
        "[Match]",
    ]
    match = [
        f"PermanentMACAddress={_one_line(seen.link.mac)}",
        "",
        "[Link]",
        "NamePolicy=keep kernel database onboard slot path",
    ]
    return "\n".join([*head, *match, *options, *dict.fromkeys(others)]) + "\n"


def _comment(text: str) -> str:
    return f"# {_one_line(text)}"


def _one_line(text: str) -> str:
    """Names of drivers come out of a snapshot that somebody else may have written."""
    return " ".join(text.split())


def _link_options(setting: AnySetting) -> list[str]:
    match setting:
        case Channels():
            counts = {
                "RxChannels": setting.rx,
                "TxChannels": setting.tx,
                "CombinedChannels": setting.combined,
            }
            return [f"{name}={count}" for name, count in counts.items() if count]
        case Rings():
            return [f"RxBufferSize={setting.rx}", f"TxBufferSize={setting.tx}"]
        case Coalesce():
            adaptive = {True: "yes", False: "no"}
            return [
                f"UseAdaptiveRxCoalesce={adaptive[setting.adaptive_rx]}",
                f"UseAdaptiveTxCoalesce={adaptive[setting.adaptive_tx]}",
                f"RxCoalesceSec={setting.rx_usecs}us",
                f"TxCoalesceSec={setting.tx_usecs}us",
            ]
        case Feature() if setting.name in _LINK_FEATURES:
            return [f"{_LINK_FEATURES[setting.name]}={'yes' if setting.on else 'no'}"]
    return []
