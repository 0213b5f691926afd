"""Run in the client's namespace: sends the same SYN to a server's port 80 over and over.

flood.py INTERFACE SERVER_MAC CLIENT_ADDRESS SERVER_ADDRESS FRAMES
"""

from __future__ import annotations

import socket
import struct
import sys
import time

BATCH_FRAMES = 50
PAUSE_S = 0.002


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(client: bytes, server: bytes) -> bytes:
    """An IPv4 packet of 40 octets."""
    ends = client + server
    segment = struct.pack("!HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 65535, 0, 0)
    summed = checksum(ends + struct.pack("!HH", 6, len(segment)) + segment)
    segment = segment[:16] + struct.pack("!H", summed) + segment[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + ends
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + segment


def main() -> None:
    interface, mac, client, server, count = sys.argv[1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.bind((interface, 0))
        own = packets.getsockname()[4]
        packet = syn(socket.inet_aton(client), socket.inet_aton(server))
        frame = bytes.fromhex(mac.replace(":", "")) + own + b"\x08\x00" + packet
        for number in range(int(count)):
            packets.send(frame.ljust(60, b"\0"))
            if number % BATCH_FRAMES == 0:
                time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
