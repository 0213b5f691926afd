"""The SIOCETHTOOL ioctl: what pyroute2 lacks of it, by the field names of linux/ethtool.h.

Owns: every structure and command number; tests/nic compares them with the kernel's header. An answer of None
means that the device does not have it. Everything is about the network namespace of the calling thread.
"""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from dataclasses import dataclass

SIOCETHTOOL = 0x8946

GDRVINFO = 0x03
GCOALESCE, SCOALESCE = 0x0E, 0x0F
GRINGPARAM, SRINGPARAM = 0x10, 0x11
GSTRINGS = 0x1B
GSTATS = 0x1D
GRXFH, SRXFH = 0x29, 0x2A
GRXCLSRLCNT, GRXCLSRULE, GRXCLSRLALL = 0x2E, 0x2F, 0x30
SRXCLSRLDEL, SRXCLSRLINS = 0x31, 0x32
GSSET_INFO = 0x37
GRXFHINDIR, SRXFHINDIR = 0x38, 0x39
GFEATURES, SFEATURES = 0x3A, 0x3B
GCHANNELS, SCHANNELS = 0x3C, 0x3D
GRSSH = 0x46
GLINKSETTINGS = 0x4C

SS_STATS, SS_FEATURES = 1, 4
STRING_BYTES = 32

DRVINFO = struct.Struct("=I32s32s32s32s32s12s5I")
RINGPARAM = struct.Struct("=9I")
COALESCE = struct.Struct("=23I")
CHANNELS = struct.Struct("=9I")
RXFH = struct.Struct("=4IB3xI")
RXFH_INDIR = struct.Struct("=II")
SSET_INFO = struct.Struct("=IIQ")
STRINGS = struct.Struct("=III")
STATS = struct.Struct("=II")
FEATURES = struct.Struct("=II")
FEATURES_BLOCK = struct.Struct("=4I")
SET_FEATURES_BLOCK = struct.Struct("=2I")
LINK_SETTINGS = struct.Struct("=IIBBBBBBBbBBBB28s")

COALESCE_FIELDS = {
    "rx_usecs": 1,
    "rx_frames": 2,
    "tx_usecs": 5,
    "tx_frames": 6,
    "adaptive_rx": 10,
    "adaptive_tx": 11,
}
"""Those that we change -> number of the word in struct ethtool_coalesce."""
HASH_FUNCTIONS = {1: "toeplitz", 2: "xor", 4: "crc32"}
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV, errno.EPERM, errno.ENOTTY)


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """`firmware` and `bus` may be empty."""

    driver: str
    version: str
    firmware: str
    bus: str


@dataclass(frozen=True, slots=True)
class ChannelCounts:
    """Most and present number of each kind."""

    most: dict[str, int]
    now: dict[str, int]


@dataclass(frozen=True, slots=True)
class RssState:
    """table: queue by slot. key: the hash's key, empty where it cannot be read. function: of the hash."""

    table: tuple[int, ...]
    key: bytes
    function: str


@dataclass(frozen=True, slots=True)
class OffloadState:
    """wanted differs from active where something forbids what was asked for."""

    active: bool
    wanted: bool
    changeable: bool


class Ethtool:
    """The ioctl on one interface."""

    def __init__(self, ifname: str) -> None:
        self._name = ifname.encode()

    def request(self, command: bytes) -> bytes:
        """One request; the structure as the kernel left it. OSError with the driver's errno."""
        data = array.array("B", command)
        request = struct.pack("16sP", self._name, data.buffer_info()[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            fcntl.ioctl(handle, SIOCETHTOOL, request)
        return data.tobytes()

    def ask(self, command: bytes) -> bytes | None:
        """A request that the device may not know."""
        try:
            return self.request(command)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return None

    # -- what it is

    def driver(self) -> DriverInfo | None:
        answer = self.ask(DRVINFO.pack(GDRVINFO, *[b""] * 6, 0, 0, 0, 0, 0))
        if answer is None:
            return None
        fields = [_text(field) for field in DRVINFO.unpack(answer)[1:5]]
        return DriverInfo(*fields)

    def speed_mbps(self) -> int | None:
        """None where the link is down or has no speed."""
        probe = self.ask(_link_settings(0))
        words = -LINK_SETTINGS.unpack_from(probe)[9] if probe else 0
        if words <= 0:
            return None
        answer = self.ask(_link_settings(words) + bytes(3 * 4 * words))
        speed = LINK_SETTINGS.unpack_from(answer)[1] if answer else 0
        return speed if 0 < speed < 0xFFFFFFFF else None

    # -- queues and rings

    def channels(self) -> ChannelCounts | None:
        answer = self.ask(CHANNELS.pack(GCHANNELS, *[0] * 8))
        if answer is None:
            return None
        fields = CHANNELS.unpack(answer)[1:]
        names = ("rx", "tx", "other", "combined")
        return ChannelCounts(
            dict(zip(names, fields[:4], strict=True)), dict(zip(names, fields[4:], strict=True))
        )

    def set_channels(self, rx: int, tx: int, other: int, combined: int) -> None:
        self.request(CHANNELS.pack(SCHANNELS, 0, 0, 0, 0, rx, tx, other, combined))

    def rings(self) -> tuple[dict[str, int], dict[str, int]] | None:
        """Most and present descriptors of "rx" and "tx"."""
        answer = self.ask(RINGPARAM.pack(GRINGPARAM, *[0] * 8))
        if answer is None:
            return None
        fields = RINGPARAM.unpack(answer)[1:]
        return {"rx": fields[0], "tx": fields[3]}, {"rx": fields[4], "tx": fields[7]}

    def set_rings(self, rx: int, tx: int) -> None:
        """Leaves the mini and jumbo rings as they are."""
        now = RINGPARAM.unpack(self.request(RINGPARAM.pack(GRINGPARAM, *[0] * 8)))
        self.request(RINGPARAM.pack(SRINGPARAM, *now[1:5], rx, now[6], now[7], tx))

    def coalesce(self) -> dict[str, int] | None:
        answer = self.ask(COALESCE.pack(GCOALESCE, *[0] * 22))
        if answer is None:
            return None
        words = COALESCE.unpack(answer)
        return {name: words[place] for name, place in COALESCE_FIELDS.items()}

    def set_coalesce(self, values: dict[str, int]) -> None:
        """Leaves what is not named as it is."""
        words = list(COALESCE.unpack(self.request(COALESCE.pack(GCOALESCE, *[0] * 22))))
        words[0] = SCOALESCE
        for name, value in values.items():
            words[COALESCE_FIELDS[name]] = value
        self.request(COALESCE.pack(*words))

    # -- how flows are spread

    def rss(self) -> RssState | None:
        """By ETHTOOL_GRSSH, in two requests: sizes, then contents."""
        sizes = self.ask(RXFH.pack(GRSSH, 0, 0, 0, 0, 0))
        if sizes is None:
            table = self.indirection()
            return None if table is None else RssState(table, b"", "")
        _, _, slots, key_bytes, _, _ = RXFH.unpack_from(sizes)
        if not slots:
            return None
        answer = self.request(RXFH.pack(GRSSH, 0, slots, key_bytes, 0, 0) + bytes(4 * slots + key_bytes))
        table = struct.unpack_from(f"={slots}I", answer, RXFH.size)
        key = answer[RXFH.size + 4 * slots :][:key_bytes]
        function = RXFH.unpack_from(answer)[4]
        return RssState(table, key, HASH_FUNCTIONS.get(function, f"{function:#x}" if function else ""))

    def indirection(self) -> tuple[int, ...] | None:
        """Queue by slot; None where the device has no such table."""
        sizes = self.ask(RXFH_INDIR.pack(GRXFHINDIR, 0))
        slots = RXFH_INDIR.unpack_from(sizes)[1] if sizes else 0
        if not slots:
            return None
        answer = self.request(RXFH_INDIR.pack(GRXFHINDIR, slots) + bytes(4 * slots))
        return struct.unpack_from(f"={slots}I", answer, RXFH_INDIR.size)

    def set_indirection(self, table: tuple[int, ...]) -> None:
        """OSError when the device refuses: EINVAL for a queue that is not there. Empty: the default table."""
        self.request(RXFH_INDIR.pack(SRXFHINDIR, len(table)) + struct.pack(f"={len(table)}I", *table))

    # -- offloads and statistics

    def features(self) -> dict[str, OffloadState]:
        """By the kernel's name: rx-gro, rx-lro, rx-vlan-hw-parse ..."""
        names = self.strings(SS_FEATURES)
        blocks = (len(names) + 31) // 32
        answer = self.ask(FEATURES.pack(GFEATURES, blocks) + bytes(FEATURES_BLOCK.size * blocks))
        if not names or answer is None:
            return {}
        found = {}
        for place, name in enumerate(names):
            available, requested, active, fixed = FEATURES_BLOCK.unpack_from(
                answer, FEATURES.size + FEATURES_BLOCK.size * (place // 32)
            )
            bit = 1 << place % 32
            if name:
                changeable = bool(available & bit) and not fixed & bit
                found[name] = OffloadState(bool(active & bit), bool(requested & bit), changeable)
        return found

    def set_feature(self, name: str, on: bool) -> None:
        """OSError (ENOENT) for a name that this kernel does not know."""
        names = self.strings(SS_FEATURES)
        if name not in names:
            raise OSError(errno.ENOENT, f"no offload {name}")
        place = names.index(name)
        blocks = [(0, 0)] * ((len(names) + 31) // 32)
        bit = 1 << place % 32
        blocks[place // 32] = (bit, bit if on else 0)
        body = b"".join(SET_FEATURES_BLOCK.pack(*block) for block in blocks)
        self.request(FEATURES.pack(SFEATURES, len(blocks)) + body)

    def strings(self, string_set: int) -> list[str]:
        """Names of a string set; empty where the device has none."""
        answer = self.ask(SSET_INFO.pack(GSSET_INFO, 0, 1 << string_set) + bytes(4))
        if answer is None or not SSET_INFO.unpack_from(answer)[2]:
            return []
        (count,) = struct.unpack_from("=I", answer, SSET_INFO.size)
        names = self.request(STRINGS.pack(GSTRINGS, string_set, count) + bytes(STRING_BYTES * count))
        start = STRINGS.size
        return [_text(names[start + STRING_BYTES * n :][:STRING_BYTES]) for n in range(count)]

    def statistics(self) -> dict[str, int]:
        """The driver's own counters, as `ethtool -S` shows them."""
        names = self.strings(SS_STATS)
        if not names:
            return {}
        answer = self.ask(STATS.pack(GSTATS, len(names)) + bytes(8 * len(names)))
        values = struct.unpack_from(f"={len(names)}Q", answer, STATS.size) if answer else ()
        return dict(zip(names, values, strict=False))


def _link_settings(words: int) -> bytes:
    return LINK_SETTINGS.pack(GLINKSETTINGS, 0, 0, 0, 0, 0, 0, 0, 0, words, 0, 0, 0, 0, b"")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
