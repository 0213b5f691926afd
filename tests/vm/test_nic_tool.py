"""`bypass nic` on drivers of real cards: what it shows is what ethtool and /proc show, what it changes they
show, too, and what it puts back is what was before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.netlab import GuestLab
from tests.vm.serving import bypass, load, received_by_driver, serving

TOOL_S = 300.0
WISH = ("--workers", "2", "--rings", "512", "--irq-affinity", "1", "--busy-poll", "--vlan")
ON_CPU_1 = {"1"}
LONG_NAMES = {
    "rx-checksum": "rx-checksumming",
    "rx-gro": "generic-receive-offload",
    "rx-lro": "large-receive-offload",
    "rx-vlan-hw-parse": "rx-vlan-offload",
    "tx-vlan-hw-insert": "tx-vlan-offload",
    "rx-ntuple-filter": "ntuple-filters",
    "rx-hashing": "receive-hashing",
    "tx-generic-segmentation": "generic-segmentation-offload",
}
"""Of offloads: the kernel's name -> the one that ethtool prints."""
FIELDS = {
    "IP SA": "ip-source",
    "IP DA": "ip-destination",
    "L4 bytes 0 & 1 [TCP/UDP src port]": "port-source",
    "L4 bytes 2 & 3 [TCP/UDP dst port]": "port-destination",
}
pytestmark = pytest.mark.parametrize("lab", ["igb", "virtio-4"], indirect=True)


@pytest.fixture
def wide(lab: GuestLab) -> Iterator[GuestLab]:
    """The card with all the queues that it has."""
    most = int(re.findall(r"^Combined:\t(\d+)", ethtool(lab, "-l"), re.MULTILINE)[0])
    lab.guest(f"ethtool -L eth0 combined {most}", f"ethtool -X eth0 equal {most}")
    yield lab
    if lab.guest("ls /var/lib/bypass/nic/*.json", check=False).status == 0:
        bypass(lab, "nic", "restore", "eth0", timeout_s=TOOL_S)
    lab.guest("ethtool -X eth0 equal 2", "ethtool -L eth0 combined 2", "ethtool -X eth0 equal 2")


def ethtool(lab: GuestLab, option: str, *words: str) -> str:
    return lab.guest(" ".join(("ethtool", option, "eth0", *words))).output


def nic(lab: GuestLab, verb: str, *arguments: str, code: int = 0) -> str:
    status, said = bypass(lab, "nic", verb, "eth0", *arguments, timeout_s=TOOL_S)
    assert status == code, f"{verb}: {status}, {said}"
    return said


def facts(lab: GuestLab) -> dict[str, Any]:
    said = nic(lab, "show", "--json")
    shown: dict[str, Any] = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
    return shown


def interrupts(lab: GuestLab) -> dict[str, str]:
    """CPUs by name of the interrupt, of the queues of eth0."""
    names = "(eth0-|virtio0-(in|out)put)"
    said = lab.guest(
        f"grep -E '{names}' /proc/interrupts | while read -r number rest; do"
        ' echo "${rest##* } $(cat /proc/irq/${number%:}/smp_affinity_list)"; done'
    ).output
    return dict(line.split() for line in said.splitlines() if line)


def state(lab: GuestLab) -> str:
    """All that ethtool, /proc and /sys show of the card."""
    shown = [ethtool(lab, option) for option in ("-l", "-x", "-g", "-k", "-c")]
    shown.append(lab.guest("cd /sys/class/net/eth0; grep . napi_defer_hard_irqs gro_flush_timeout").output)
    return "".join(shown) + str(interrupts(lab))


def test_its_facts_are_those_of_ethtool(wide: GuestLab) -> None:
    shown = facts(wide)
    driver = dict(re.findall(r"^([a-z-]+): (.*)$", ethtool(wide, "-i"), re.MULTILINE))
    link = shown["link"]
    assert (link["driver"], link["bus"]) == (driver["driver"], driver["bus-info"])
    assert link["firmware"] == driver["firmware-version"].split(",")[0].strip()
    assert link["mac"] in wide.guest("/usr/sbin/ip link show eth0").output
    channels = re.findall(r"^Combined:\t(\d+)", ethtool(wide, "-l"), re.MULTILINE)
    assert [str(shown[one]["combined"]) for one in ("most_channels", "channels")] == channels
    for side in ("rx", "tx"):
        sizes = re.findall(rf"^{side.upper()}:\t+(\d+)", ethtool(wide, "-g"), re.MULTILINE)
        assert [str(shown[one][side]) for one in ("most_rings", "rings")] == sizes
    coalesce = dict(re.findall(r"^([rt]x-(?:usecs|frames)):\s+(\d+)", ethtool(wide, "-c"), re.MULTILINE))
    named = {name.replace("_", "-"): str(value) for name, value in shown["coalesce"].items()}
    assert coalesce
    assert coalesce == {name: named[name] for name in coalesce}


def test_its_flow_table_and_hash_are_those_of_ethtool(wide: GuestLab) -> None:
    rss = facts(wide)["rss"]
    said = ethtool(wide, "-x")
    lines = re.findall(r"^ *\d+: +((?:\d+ *)+)$", said, re.MULTILINE)
    assert rss["table"] == [int(word) for line in lines for word in line.split()]
    assert len(set(rss["table"])) >= 4
    key = re.findall(r"^([0-9a-f]{2}(?::[0-9a-f]{2})+)$", said, re.MULTILINE)
    assert [rss["key"]] == [one.replace(":", "") for one in key]
    for flow in ("tcp4", "tcp6"):
        fields = ethtool(wide, "-n", "rx-flow-hash", flow).splitlines()
        assert set(rss["fields"][flow]) == {FIELDS[line] for line in fields if line in FIELDS}


def test_its_offloads_and_interrupts_are_those_of_ethtool_and_proc(wide: GuestLab) -> None:
    shown = facts(wide)
    listed = dict(re.findall(r"^\t?([a-z0-9_-]+): (on|off)", ethtool(wide, "-k"), re.MULTILINE))
    fixed = set(re.findall(r"^\t?([a-z0-9_-]+): (?:on|off) \[fixed\]", ethtool(wide, "-k"), re.MULTILINE))
    offloads = {LONG_NAMES.get(name, name): one for name, one in shown["offloads"].items()}
    both = listed.keys() & offloads.keys()
    assert len(both) > 20
    assert {name: offloads[name]["on"] for name in both} == {name: listed[name] == "on" for name in both}
    assert {name for name in both if not offloads[name]["changeable"]} == fixed & both
    irqs = {irq["name"]: irq["cpus"] for queue in shown["queues"] for irq in queue["irqs"].values()}
    assert irqs == {name: numbers(cpus) for name, cpus in interrupts(wide).items()}


def numbers(text: str) -> list[int]:
    """Of a list such as 0-1."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def test_the_round_trip(wide: GuestLab) -> None:
    """Channels, table, rings, an offload, interrupts, NAPI: changed, as planned, served on, put back."""
    before = state(wide)
    planned = nic(wide, "plan", *WISH)
    assert state(wide) == before, "a plan changed something"
    for what in ("feature/", "indirection:", "channels:", "rings:", "irq/rx-0:", "napi/0:"):
        assert what in planned
    nic(wide, "apply", *WISH)
    changed = state(wide)
    assert "Combined:\t2" in changed
    assert re.search(r"^RX:\t+512$", ethtool(wide, "-g"), re.MULTILINE)
    assert {cpus for name, cpus in interrupts(wide).items() if re.search(r"[-.][01]$", name)} == ON_CPU_1
    shown = facts(wide)
    assert set(shown["rss"]["table"]) == {0, 1}
    assert [shown["queues"][number]["napi"]["defer_hard_irqs"] for number in (0, 1)] == [2, 2]
    assert "nothing to change" in nic(wide, "apply", *WISH)
    assert state(wide) == changed
    serve_on_two_queues(wide)
    assert "as planned" in nic(wide, "verify")
    wide.guest("ethtool -X eth0 equal 1")
    assert "indirection" in nic(wide, "verify", code=3)
    nic(wide, "restore")
    assert state(wide) == before


def serve_on_two_queues(lab: GuestLab) -> None:
    """virtio_net adds queues when XDP attaches, and its device forgets the table at that: written again."""
    with serving(lab, "--zero-copy", "--queue", "0", "--queue", "1") as server:
        before = received_by_driver(lab)
        assert load(lab, lab.wire.url(), connections=32, seconds=1).errors == 0
        after = received_by_driver(lab)
        assert min(server.stop().received.values()) > 20
    grown = {queue: after[queue] - before[queue] for queue in after if queue in before}
    assert min(grown.pop(0), grown.pop(1)) > 20, "by the driver's own count"
    assert sum(grown.values()) < 10, "strays of the link, no flows"
