"""A client that asks for pages over several connections and holds every response to one version.

Runs in the client's namespace until its stdin says a line; then prints what it saw as JSON.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections import Counter

from tests.engine_http.versions import version_of

PATHS = ("/big.bin", "/small.txt", "/", "/small.txt")
CONNECTIONS = 4


class Seen:
    def __init__(self) -> None:
        self.versions: Counter[int] = Counter()
        self.failures: list[str] = []
        self.lock = threading.Lock()


def ask_on(host: str, seen: Seen, stop: threading.Event) -> None:
    """One kept-alive connection; it must never be closed by the server."""
    connection = http.client.HTTPConnection(host, timeout=30)
    while not stop.is_set() and not seen.failures:
        for path in PATHS:
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                content = response.read()
                if response.status != 200 or response.will_close:
                    raise AssertionError(f"status {response.status}")
                version = version_of(content)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                with seen.lock:
                    seen.failures.append(f"{path}: {type(error).__name__}: {error}"[:300])
                return
            with seen.lock:
                seen.versions[version] += 1


def main(host: str) -> None:
    seen, stop = Seen(), threading.Event()
    threads = [threading.Thread(target=ask_on, args=(host, seen, stop)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    facts = {
        "responses": seen.versions.total(),
        "versions": sorted(seen.versions),
        "failures": seen.failures,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1])
