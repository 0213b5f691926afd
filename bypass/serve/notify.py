"""sd_notify(3): tells a service manager how far we are, over the socket it names in NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket


def notify(**fields: str) -> bool:
    """notify(READY="1", STATUS="serving"). False, and nothing done, where no manager listens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    message = "\n".join(f"{name}={value}" for name, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.connect(address)
            manager.sendall(message.encode())
        except OSError:
            # A manager that went away is no reason to stop serving.
            return False
    return True
