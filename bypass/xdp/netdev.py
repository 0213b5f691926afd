"""The `netdev` generic netlink family, which pyroute2 lacks: what a device offers to XDP, its queues, NAPI.

Owns: the numbers of Documentation/netlink/specs/netdev.yaml and the requests we make. Answers are about
the network namespace of the calling thread.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Self

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.generic import GenericNetlinkSocket

_DEV_GET = 1
_QUEUE_GET = 10
_NAPI_GET = 11
_QSTATS_GET = 12
_NAPI_SET = 14
_SCOPE_QUEUE = 1
RECEIVE, SEND = 0, 1
"""Attribute type of a queue."""


class XdpFeature(IntFlag):
    """Attribute xdp-features: what the driver can do, as it is set up now."""

    BASIC = 1
    REDIRECT = 2
    NDO_XMIT = 4
    XSK_ZEROCOPY = 8
    HW_OFFLOAD = 16
    RX_SG = 32
    NDO_XMIT_SG = 64


class XskFeature(IntFlag):
    """Attribute xsk-features: what the device does for an AF_XDP socket that transmits."""

    TX_TIMESTAMP = 1
    TX_CHECKSUM = 2
    TX_LAUNCH_TIME_FIFO = 4


class _Device(genlmsg):  # type: ignore[misc]  # pyroute2 is untyped
    nla_map = (
        ("NETDEV_A_UNSPEC", "none"),
        ("NETDEV_A_DEV_IFINDEX", "uint32"),
        ("NETDEV_A_DEV_PAD", "none"),
        ("NETDEV_A_DEV_XDP_FEATURES", "uint64"),
        ("NETDEV_A_DEV_XDP_ZC_MAX_SEGS", "uint32"),
        ("NETDEV_A_DEV_XDP_RX_METADATA_FEATURES", "uint64"),
        ("NETDEV_A_DEV_XSK_FEATURES", "uint64"),
    )


class _Queue(genlmsg):  # type: ignore[misc]  # pyroute2 is untyped
    nla_map = (
        ("NETDEV_A_QUEUE_UNSPEC", "none"),
        ("NETDEV_A_QUEUE_ID", "uint32"),
        ("NETDEV_A_QUEUE_IFINDEX", "uint32"),
        ("NETDEV_A_QUEUE_TYPE", "uint32"),
        ("NETDEV_A_QUEUE_NAPI_ID", "uint32"),
        ("NETDEV_A_QUEUE_DMABUF", "hex"),
        ("NETDEV_A_QUEUE_IO_URING", "hex"),
        ("NETDEV_A_QUEUE_XSK", "hex"),
    )


class _Napi(genlmsg):  # type: ignore[misc]  # pyroute2 is untyped
    nla_map = (
        ("NETDEV_A_NAPI_UNSPEC", "none"),
        ("NETDEV_A_NAPI_IFINDEX", "uint32"),
        ("NETDEV_A_NAPI_ID", "uint32"),
        ("NETDEV_A_NAPI_IRQ", "uint32"),
        ("NETDEV_A_NAPI_PID", "uint32"),
        ("NETDEV_A_NAPI_DEFER_HARD_IRQS", "uint32"),
        ("NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT", "cdata"),
        ("NETDEV_A_NAPI_IRQ_SUSPEND_TIMEOUT", "cdata"),
        ("NETDEV_A_NAPI_THREADED", "uint32"),
    )


_QSTATS_FIRST = 8
_QSTATS_NAMES = (
    *("rx-packets", "rx-bytes", "tx-packets", "tx-bytes", "rx-alloc-fail", "rx-hw-drops"),
    *("rx-hw-drop-overruns", "rx-csum-complete", "rx-csum-unnecessary", "rx-csum-none", "rx-csum-bad"),
    *("rx-hw-gro-packets", "rx-hw-gro-bytes", "rx-hw-gro-wire-packets", "rx-hw-gro-wire-bytes"),
    *("rx-hw-drop-ratelimits", "tx-hw-drops", "tx-hw-drop-errors", "tx-csum-none", "tx-needs-csum"),
    *("tx-hw-gso-packets", "tx-hw-gso-bytes", "tx-hw-gso-wire-packets", "tx-hw-gso-wire-bytes"),
    *("tx-hw-drop-ratelimits", "tx-stop", "tx-wake"),
)


class _QueueStats(genlmsg):  # type: ignore[misc]  # pyroute2 is untyped
    nla_map = (
        ("NETDEV_A_QSTATS_UNSPEC", "none"),
        ("NETDEV_A_QSTATS_IFINDEX", "uint32"),
        ("NETDEV_A_QSTATS_QUEUE_TYPE", "uint32"),
        ("NETDEV_A_QSTATS_QUEUE_ID", "uint32"),
        ("NETDEV_A_QSTATS_SCOPE", "cdata"),
        *((f"NETDEV_A_QSTATS_UNUSED_{number}", "none") for number in range(5, _QSTATS_FIRST)),
        *((name, "cdata") for name in _QSTATS_NAMES),
    )


@dataclass(frozen=True, slots=True)
class NetdevQueue:
    """kind: RECEIVE or SEND. napi_id: None where the driver does not say. xsk: an AF_XDP socket is bound."""

    kind: int
    queue: int
    napi_id: int | None
    xsk: bool


@dataclass(frozen=True, slots=True)
class Napi:
    """irq: None where the driver does not say. defer_hard_irqs None: the kernel (before 6.13) does not say.

    thread: of threaded NAPI.
    """

    napi_id: int
    irq: int | None
    thread: int | None
    defer_hard_irqs: int | None
    gro_flush_timeout_ns: int
    irq_suspend_timeout_ns: int


class NetdevFamily:
    """An open socket of the family. Raises NetlinkError (ENOENT) on kernels before 6.3."""

    def __init__(self) -> None:
        self._socket = GenericNetlinkSocket()
        try:
            self._socket.bind("netdev", genlmsg)
        except BaseException:
            self._socket.close()
            raise

    def device(self, ifindex: int) -> tuple[XdpFeature, XskFeature, int]:
        """XDP features, AF_XDP features, and the most segments of one frame in zero-copy mode."""
        message = _Device()
        message["attrs"] = [("NETDEV_A_DEV_IFINDEX", ifindex)]
        (answer,) = self._ask(message, _DEV_GET, _Device, NLM_F_REQUEST)
        return (
            XdpFeature(answer.get_attr("NETDEV_A_DEV_XDP_FEATURES") or 0),
            XskFeature(answer.get_attr("NETDEV_A_DEV_XSK_FEATURES") or 0),
            answer.get_attr("NETDEV_A_DEV_XDP_ZC_MAX_SEGS") or 1,
        )

    def queues(self, ifindex: int) -> list[NetdevQueue]:
        """Receive and transmit queues; none while the device is down.

        Raises NetlinkError (EOPNOTSUPP) on kernels before 6.8.
        """
        message = _Queue()
        message["attrs"] = [("NETDEV_A_QUEUE_IFINDEX", ifindex)]
        answers = self._ask(message, _QUEUE_GET, _Queue, NLM_F_REQUEST | NLM_F_DUMP)
        return [
            NetdevQueue(
                kind=answer.get_attr("NETDEV_A_QUEUE_TYPE"),
                queue=answer.get_attr("NETDEV_A_QUEUE_ID"),
                napi_id=answer.get_attr("NETDEV_A_QUEUE_NAPI_ID"),
                xsk=answer.get_attr("NETDEV_A_QUEUE_XSK") is not None,
            )
            for answer in answers
        ]

    def napis(self, ifindex: int) -> dict[int, Napi]:
        """NAPI contexts by their id. Raises NetlinkError (EOPNOTSUPP) on kernels before 6.8."""
        message = _Napi()
        message["attrs"] = [("NETDEV_A_NAPI_IFINDEX", ifindex)]
        answers = self._ask(message, _NAPI_GET, _Napi, NLM_F_REQUEST | NLM_F_DUMP)
        return {napi.napi_id: napi for napi in map(_napi_of, answers)}

    def set_napi(
        self, napi_id: int, defer_hard_irqs: int, gro_flush_timeout_ns: int, irq_suspend_timeout_ns: int
    ) -> None:
        """Raises NetlinkError (EOPNOTSUPP) on kernels before 6.13."""
        message = _Napi()
        message["attrs"] = [
            ("NETDEV_A_NAPI_ID", napi_id),
            ("NETDEV_A_NAPI_DEFER_HARD_IRQS", defer_hard_irqs),
            ("NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT", gro_flush_timeout_ns.to_bytes(8, sys.byteorder)),
            ("NETDEV_A_NAPI_IRQ_SUSPEND_TIMEOUT", irq_suspend_timeout_ns.to_bytes(8, sys.byteorder)),
        ]
        self._ask(message, _NAPI_SET, _Napi, NLM_F_REQUEST | NLM_F_ACK)

    def queue_statistics(self, ifindex: int) -> dict[tuple[int, int], dict[str, int]]:
        """Counters by (RECEIVE or SEND, queue); none where the driver does not count by queue.

        Raises NetlinkError (EOPNOTSUPP) on kernels before 6.10.
        """
        message = _QueueStats()
        message["attrs"] = [
            ("NETDEV_A_QSTATS_IFINDEX", ifindex),
            ("NETDEV_A_QSTATS_SCOPE", _SCOPE_QUEUE.to_bytes(4, sys.byteorder)),
        ]
        answers = self._ask(message, _QSTATS_GET, _QueueStats, NLM_F_REQUEST | NLM_F_DUMP)
        found: dict[tuple[int, int], dict[str, int]] = {}
        for answer in answers:
            place = answer.get_attr("NETDEV_A_QSTATS_QUEUE_TYPE"), answer.get_attr("NETDEV_A_QSTATS_QUEUE_ID")
            counters = ((name, answer.get_attr(name)) for name in _QSTATS_NAMES)
            found[place] = {name: _number(value) for name, value in counters if value is not None}
        return found

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, message: Any, command: int, answer: type[Any], flags: int) -> list[Any]:
        message["cmd"] = command
        message["version"] = 1
        self._socket.marshal.msg_map[self._socket.prid] = answer
        return list(self._socket.nlm_request(message, msg_type=self._socket.prid, msg_flags=flags))


def _napi_of(answer: Any) -> Napi:
    return Napi(
        napi_id=answer.get_attr("NETDEV_A_NAPI_ID"),
        irq=answer.get_attr("NETDEV_A_NAPI_IRQ"),
        thread=answer.get_attr("NETDEV_A_NAPI_PID"),
        defer_hard_irqs=answer.get_attr("NETDEV_A_NAPI_DEFER_HARD_IRQS"),
        gro_flush_timeout_ns=_number(answer.get_attr("NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT")),
        irq_suspend_timeout_ns=_number(answer.get_attr("NETDEV_A_NAPI_IRQ_SUSPEND_TIMEOUT")),
    )


def _number(value: bytes | None) -> int:
    """Type uint of the specification: four or eight octets, as the number needs."""
    return int.from_bytes(value or b"", sys.byteorder)
