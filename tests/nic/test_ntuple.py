"""Flow rules against structures that ethtool itself makes and reads.

No driver that tests run on has rules for ports (tests/vm: igb has rules for MAC addresses at most, virtio_net
none). A shim in the place of the kernel keeps what `ethtool -N` sends; ours must be the same, byte for byte,
and `ethtool -n` must read ours.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from bypass.nic import ethtool
from bypass.nic.ethtool import Ethtool
from bypass.nic.ntuple import (
    LOCATION_ANY,
    LOCATIONS_SPECIAL,
    RING_COOKIE_DROP,
    RXNFC,
    FlowRule,
    FlowRules,
    decode_rule,
    encode_rule,
    read_hash_fields,
    write_hash_fields,
)
from bypass.nic.settings import PortRule

SLOTS = 1024


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shim") / "ioctl_shim.so"
    source = Path(__file__).with_name("ioctl_shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


class Recorded:
    """ethtool over the shim, and the rules it keeps."""

    def __init__(self, shim: Path, folder: Path) -> None:
        self._shim, self.rules = shim, folder / "rules"

    def ethtool(self, *words: str) -> str:
        environment = os.environ | {
            "LD_PRELOAD": str(self._shim),
            "RULES": str(self.rules),
            "SLOTS": str(SLOTS),
        }
        return subprocess.run(
            ["ethtool", *words], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def structures(self) -> list[bytes]:
        data = self.rules.read_bytes() if self.rules.exists() else b""
        return [data[start : start + RXNFC.size] for start in range(0, len(data), RXNFC.size)]


class RecordedDevice(Ethtool):
    """Answers as the shim does, for our own code. special: the driver chooses places itself."""

    def __init__(self, recorded: Recorded, *, special: bool = False, counts: bool = True) -> None:
        super().__init__("none")
        self._recorded, self._special, self._counts = recorded, special, counts

    def request(self, command: bytes) -> bytes:
        number, _, _, _, _, _, _, _, _, location, _ = RXNFC.unpack_from(command)
        there = self._recorded.structures()
        if number == ethtool.GRXCLSRLCNT:
            data = LOCATIONS_SPECIAL if self._special else SLOTS if self._counts else 0
            return RXNFC.pack(number, 0, data, 0, b"", b"", b"", b"", 0, 0, len(there))
        if number == ethtool.GRXCLSRLALL:
            head = RXNFC.pack(number, 0, SLOTS, 0, b"", b"", b"", b"", 0, 0, len(there))
            places = [decode_rule(one).location for one in there]
            return head[:-4] + struct.pack(f"={len(places) + 1}I", *places, 0)
        found = [one for one in there if decode_rule(one).location == location]
        if number == ethtool.GRXCLSRULE:
            return found[0]
        if number == ethtool.SRXCLSRLINS:
            self._recorded.rules.write_bytes(b"".join([*there, command]))
        elif number == ethtool.SRXCLSRLDEL:
            if not found:
                raise OSError(errno.ENOENT, "no such rule")
            self._recorded.rules.write_bytes(b"".join(one for one in there if one not in found))
        return command


@pytest.fixture
def recorded(shim: Path, tmp_path: Path) -> Recorded:
    return Recorded(shim, tmp_path)


@pytest.mark.parametrize("flow", ["tcp4", "tcp6"])
@pytest.mark.parametrize(("port", "queue"), [(80, 0), (443, 7), (65535, 2)])
def test_ours_is_byte_for_byte_what_ethtool_sends(
    recorded: Recorded, flow: str, port: int, queue: int
) -> None:
    recorded.ethtool("-N", "lo", "flow-type", flow, "dst-port", str(port), "action", str(queue), "loc", "9")
    (structure,) = recorded.structures()
    rule = decode_rule(structure)
    assert rule == FlowRule(location=9, flow=flow, queue=queue, destination_port=port)
    # The command and fs; ethtool leaves the rest of its stack in the other fields.
    assert encode_rule(rule)[:4] == structure[:4]
    assert encode_rule(rule)[16:184] == structure[16:184]


def test_ethtool_reads_what_we_write(recorded: Recorded) -> None:
    rules = FlowRules(RecordedDevice(recorded))
    rules.put(PortRule(flow="tcp4", port=80, queue=3))
    rules.put(PortRule(flow="tcp6", port=80, queue=3))
    shown = recorded.ethtool("-n", "lo")
    assert re.findall(r"Filter: (\d+)", shown) == [str(SLOTS - 1), str(SLOTS - 2)]
    assert re.findall(r"Rule Type: (.*)", shown) == ["TCP over IPv4", "TCP over IPv6"]
    assert re.findall(r"Dest port: (\d+) mask: 0x0", shown) == ["80", "80"]
    assert re.findall(r"Action: Direct to queue (\d+)", shown) == ["3", "3"]


def test_a_rule_moves_to_another_queue_and_goes(recorded: Recorded) -> None:
    rules = FlowRules(RecordedDevice(recorded))
    recorded.ethtool("-N", "lo", "flow-type", "tcp4", "dst-port", "22", "action", "1", "loc", str(SLOTS - 1))
    rules.put(PortRule(flow="tcp4", port=80, queue=3))
    rules.put(PortRule(flow="tcp4", port=80, queue=4))
    assert rules.read() == (
        FlowRule(location=SLOTS - 1, flow="tcp4", queue=1, destination_port=22),
        FlowRule(location=SLOTS - 2, flow="tcp4", queue=4, destination_port=80),
    )
    rules.put(PortRule(flow="tcp4", port=80, queue=None))
    assert [rule.destination_port for rule in rules.read() or ()] == [22]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("udp4 dst-port 53 action 2", FlowRule(location=5, flow="udp4", queue=2)),
        (
            "tcp4 src-ip 192.0.2.1 dst-port 80 action 2",
            FlowRule(location=5, flow="tcp4", queue=2),
        ),
        ("tcp4 dst-port 80 m 0xff action 2", FlowRule(location=5, flow="tcp4", queue=2)),
        ("tcp4 dst-port 80 vlan 7 m 0xf000 action 2", FlowRule(location=5, flow="tcp4", queue=2)),
        (
            "tcp4 dst-port 80 action -1",
            FlowRule(location=5, flow="tcp4", queue=None, destination_port=80),
        ),
        ("ether dst 02:00:00:00:00:01 action 1", FlowRule(location=5, flow="ether", queue=1)),
    ],
)
def test_rules_of_others_are_not_taken_for_a_ports(recorded: Recorded, words: str, rule: FlowRule) -> None:
    recorded.ethtool("-N", "lo", "flow-type", *words.split(), "loc", "5")
    (structure,) = recorded.structures()
    assert decode_rule(structure) == rule


def test_a_driver_that_chooses_places_itself_is_asked_to(recorded: Recorded) -> None:
    FlowRules(RecordedDevice(recorded, special=True)).put(PortRule(flow="tcp4", port=80, queue=1))
    (structure,) = recorded.structures()
    assert decode_rule(structure).location == LOCATION_ANY


def test_the_tables_size_may_come_with_the_list(recorded: Recorded) -> None:
    FlowRules(RecordedDevice(recorded, counts=False)).put(PortRule(flow="tcp4", port=80, queue=1))
    (structure,) = recorded.structures()
    assert decode_rule(structure).location == SLOTS - 1


def test_a_full_table_is_an_error(recorded: Recorded) -> None:
    device = RecordedDevice(recorded)
    taken = [
        encode_rule(FlowRule(location=place, flow="tcp4", queue=0, destination_port=1000 + place))
        for place in range(SLOTS)
    ]
    recorded.rules.write_bytes(b"".join(taken))
    with pytest.raises(OSError, match="no room"):
        FlowRules(device).put(PortRule(flow="tcp6", port=80, queue=1))


def test_a_drop_rule_has_the_cookie_for_it() -> None:
    rule = FlowRule(location=1, flow="tcp4", queue=None, destination_port=80)
    assert RXNFC.unpack(encode_rule(rule))[8] == RING_COOKIE_DROP
    assert decode_rule(encode_rule(rule)) == rule


def test_hash_fields_go_both_ways() -> None:
    class Hashes(Ethtool):
        data = 0

        def request(self, command: bytes) -> bytes:
            fields = list(RXNFC.unpack(command))
            if fields[0] == ethtool.SRXFH:
                self.data = fields[2]
            fields[2] = self.data
            return RXNFC.pack(*fields)

    device = Hashes("none")
    fields = ("ip-source", "ip-destination", "port-source", "port-destination")
    write_hash_fields(device, "tcp4", fields)
    assert device.data == 0xF0
    assert read_hash_fields(device, "tcp4") == fields
