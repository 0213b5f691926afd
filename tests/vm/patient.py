"""Clients that keep asking, as people's browsers do: after a failure they wait a moment.

    patient.py URL CLIENTS SECONDS

A load generator that tries a closed port again at once would have the guest do nothing but refuse it.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from urllib.parse import urlsplit

PAUSE_S = 0.05


def ask(url: str, until: float) -> None:
    place = urlsplit(url)
    while time.monotonic() < until:
        link = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=2)
        try:
            while time.monotonic() < until:
                link.request("GET", place.path)
                link.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_S)
        finally:
            link.close()


def main(url: str, clients: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    for _ in range(clients):
        threading.Thread(target=ask, args=(url, until), daemon=True).start()
    time.sleep(seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
