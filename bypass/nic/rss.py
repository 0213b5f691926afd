"""The receive indirection table of a NIC: which queue each slot of the flow hash leads to.

Owns: the two ioctl requests (linux/ethtool.h, ETHTOOL_GRXFHINDIR and ETHTOOL_SRXFHINDIR). Answers are
about the network namespace of the calling thread.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_GET, _SET = 0x38, 0x39
_HEADER = struct.Struct("=II")  # cmd, size


def read_indirection(ifname: str) -> tuple[int, ...] | None:
    """Queue by slot; None where the device has no such table."""
    try:
        _, size = _HEADER.unpack_from(_request(ifname, _HEADER.pack(_GET, 0)))
        if size == 0:
            return None
        answer = _request(ifname, _HEADER.pack(_GET, size) + bytes(4 * size))
    except OSError:
        return None
    return struct.unpack_from(f"={size}I", answer, _HEADER.size)


def write_indirection(ifname: str, table: tuple[int, ...]) -> None:
    """OSError when the device refuses: EINVAL for a queue that is not there."""
    _request(ifname, _HEADER.pack(_SET, len(table)) + struct.pack(f"={len(table)}I", *table))


def _request(ifname: str, command: bytes) -> bytes:
    data = array.array("B", command)
    request = struct.pack("16sP", ifname.encode(), data.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)
    return data.tobytes()
