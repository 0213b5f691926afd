"""One interface: can it be served on, how well, and what will surprise. Reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool

from bypass.check.finding import Finding, Level, from_error
from bypass.config import ServeOptions
from bypass.errors import BypassError
from bypass.nic.quirks import quirks_of
from bypass.serve.interface import Interface, read_interface, require_usable
from bypass.serve.plan import addresses_of, frame_bytes_of, queues_of
from bypass.text import plural
from bypass.xdp import libbpf
from bypass.xdp.features import Device, read_device

OWN_PROGRAM = "bypass_redirect"[:15]


class Examined:
    """findings: all of them. interface and device: None where there is no such interface.

    attached: another XDP program is there, so nothing can be tried.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self.interface: Interface | None = None
        self.device: Device | None = None
        self.attached = False

    def find(self, id: str, level: Level, what: str, why: str = "", remedy: str = "") -> None:
        finding = Finding(id=id, level=level, subject=self.name, what=what, why=why, remedy=remedy)
        self.findings.append(finding)

    def judge(self, id: str, check: Callable[[], object], what: str) -> bool:
        """A finding that `what` holds, or what `check` raises."""
        try:
            check()
        except BypassError as error:
            self.findings.append(from_error(id, self.name, error))
            return False
        self.find(id, "ok", what)
        return True

    @property
    def serves(self) -> bool:
        """Nothing was found yet that keeps a server from serving."""
        return all(finding.level != "problem" for finding in self.findings)


def examine_interface(name: str) -> Examined:
    """Everything that can be known of an interface without changing it."""
    examined = Examined(name)
    try:
        interface = examined.interface = read_interface(name)
        device = examined.device = read_device(name)
    except BypassError as error:
        examined.findings.append(from_error("interface", name, error))
        return examined
    examined.judge("state", lambda: require_usable(interface), "the interface is up")
    if interface.up and not interface.carrier:
        examined.find("carrier", "warning", "there is no link", "nothing arrives", "Is the cable in?")
    options = ServeOptions()
    addresses = ", ".join(map(str, interface.addresses))
    examined.judge("addresses", lambda: addresses_of(options, interface), f"addresses: {addresses}")
    examined.judge(
        "mtu",
        lambda: frame_bytes_of(interface, device.driver),
        f"MTU {interface.mtu_bytes}: a packet fits into one buffer",
    )
    examined.judge(
        "queues",
        lambda: queues_of((), name, device.rx_queues, device.tx_queues),
        f"{plural(device.rx_queues, 'queue')}, and each of them receives and sends",
    )
    _modes(examined, device)
    _checksums(examined, device)
    _large_packets(examined, device)
    _program(examined, interface.index)
    return examined


def _modes(examined: Examined, device: Device) -> None:
    if device.native_xdp is None:
        examined.find(
            "driver",
            "note",
            f"driver {device.driver}",
            "this kernel does not say what drivers offer to XDP (since 6.3); a trial will tell",
        )
        return
    if not device.native_xdp:
        examined.find(
            "driver",
            "warning",
            f"driver {device.driver} has no native XDP",
            quirks_of(device.driver).attach_refusal or "packets take the slower generic way",
        )
    elif device.zero_copy:
        examined.find("driver", "ok", f"driver {device.driver}: native XDP, zero-copy")
    else:
        examined.find(
            "driver",
            "note",
            f"driver {device.driver}: native XDP, without zero-copy",
            "the kernel copies every packet",
        )


def _checksums(examined: Examined, device: Device) -> None:
    if quirks_of(device.driver).partial_checksums:
        examined.find(
            "partial-checksums",
            "note",
            f"packets can arrive over {device.driver} with TCP checksums that their sender left unfinished",
            "no NIC lies between to finish them; bypass takes the unfinished sum on such drivers alone",
            "ethtool -K IF tx off, at the other end, has them finished",
        )
    elif device.virtual:
        examined.find(
            "partial-checksums",
            "warning",
            f"packets from this machine and its containers can arrive over {device.driver} with TCP"
            " checksums that their sender left unfinished",
            "bypass drops those as damaged, since a wire can lie behind such a device",
            "ethtool -K IF tx off, in the container, has them finished",
        )


_MERGING = {
    "rx-lro": ("lro", "drivers refuse native XDP while the NIC merges packets (LRO)"),
    "rx-gro-hw": ("rx-gro-hw", "drivers refuse native XDP while the NIC merges packets (GRO_HW)"),
}


def _large_packets(examined: Examined, device: Device) -> None:
    """Packets longer than the MTU: merged on receive, or never cut by a sender on the same machine."""
    active = set(_features(device.ifname))
    for feature in sorted(active & set(_MERGING)):
        switch, why = _MERGING[feature]
        remedy = f"sudo ethtool -K {device.ifname} {switch} off"
        examined.find("merging", "warning", f"{feature} is on", why, remedy)
    if device.driver == "veth":
        examined.find(
            "tso",
            "note",
            "the other end of a veth pair hands over large packets uncut (TSO)",
            "while a native XDP program is attached the kernel cuts them; in generic mode it does not, and a"
            " request longer than a packet comes only when it is sent again, after half a second",
            "Serve in native mode, or ethtool -K IF tso off gso off at the other end",
        )


def _features(ifname: str) -> Iterator[str]:
    """Names of the offloads that are on; none where they cannot be read."""
    with contextlib.suppress(OSError, EthtoolError):
        features = IoctlEthtool(ifname).get_features()
        yield from (name for name, *_ in features if features.is_active(name))


def _program(examined: Examined, ifindex: int) -> None:
    try:
        attached = libbpf.query_xdp(ifindex)
    except libbpf.LibbpfError:
        examined.find("xdp-program", "note", "whether an XDP program is attached cannot be read")
        return
    if attached is None:
        examined.find("xdp-program", "ok", "no XDP program is attached")
        return
    examined.attached = True
    try:
        name = libbpf.program_name(attached.program_id)
    except libbpf.LibbpfError:
        name = ""
    shown = f"XDP program {attached.program_id}" + (f" ({name})" if name else "")
    where = f"{shown} is attached in {attached.mode.name.lower()} mode"
    if name == OWN_PROGRAM:
        examined.find("xdp-program", "note", f"{where}: bypass is serving here already")
        return
    examined.find(
        "xdp-program",
        "problem",
        where,
        "an interface has one program, and bypass needs its own",
        f"Stop what owns it; where nothing does any more: sudo ip link set dev {examined.name} xdp off",
    )
