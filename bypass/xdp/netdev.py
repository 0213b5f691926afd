"""The `netdev` generic netlink family, which pyroute2 lacks: what a device offers to XDP.

Owns: the numbers of Documentation/netlink/specs/netdev.yaml and the two requests we make. Answers
are about the network namespace of the calling thread.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, Self

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.generic import GenericNetlinkSocket

_DEV_GET = 1
_QUEUE_GET = 10


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

    def queues(self, ifindex: int) -> list[tuple[int, int, int | None]]:
        """(0 for receive or 1 for transmit, queue, NAPI id or None); empty while the device is down.

        Raises NetlinkError (EOPNOTSUPP) on kernels before 6.8.
        """
        message = _Queue()
        message["attrs"] = [("NETDEV_A_QUEUE_IFINDEX", ifindex)]
        answers = self._ask(message, _QUEUE_GET, _Queue, NLM_F_REQUEST | NLM_F_DUMP)
        return [
            (
                answer.get_attr("NETDEV_A_QUEUE_TYPE"),
                answer.get_attr("NETDEV_A_QUEUE_ID"),
                answer.get_attr("NETDEV_A_QUEUE_NAPI_ID"),
            )
            for answer in answers
        ]

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
