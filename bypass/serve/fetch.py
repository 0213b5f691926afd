"""Fetches a page as a client in another network namespace, through the kernel's own TCP."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from bypass.serve.vethpair import inside


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    body: bytes


def fetch(url: str, namespace: str, timeout_s: float = 5.0) -> Page:
    """GET `url` from within the named namespace. OSError or HTTPException when there is no answer."""
    result: list[Page | BaseException] = []

    def work() -> None:
        # A namespace is a thread's, so a thread that ends with the request changes nobody else's.
        try:
            with inside(namespace):
                result.append(_get(url, timeout_s))
        except BaseException as error:  # raised again in the caller's thread
            result.append(error)

    thread = threading.Thread(target=work, name="bypass-fetch")
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def _get(url: str, timeout_s: float) -> Page:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "bypass-demo"})
        response = connection.getresponse()
        return Page(response.status, response.read())
    finally:
        connection.close()
