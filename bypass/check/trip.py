"""A packet makes the trip: a page served over AF_XDP on a veth pair of our own, fetched by the kernel's TCP.

Nothing of the machine is touched: both ends are in network namespaces made for it, and gone afterwards.
"""

from __future__ import annotations

import http.client
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from bypass.check.finding import Finding, from_error
from bypass.check.machine import SUBJECT
from bypass.config import ServeOptions
from bypass.errors import BypassError
from bypass.serve.content import open_site
from bypass.serve.fetch import fetch
from bypass.serve.parts import kernel_parts
from bypass.serve.plan import url_of
from bypass.serve.preflight import prepare
from bypass.serve.server import open_server
from bypass.serve.signals import StopRequest
from bypass.serve.vethpair import VethPair, remove_stale

_ID = "trip"


def make_trip(stop: StopRequest) -> Finding:
    """Whether a request and its answer went through AF_XDP here."""
    stop.check()
    try:
        modes = _serve_and_fetch(secrets.token_hex(64))
    except BypassError as error:
        return from_error(_ID, SUBJECT, error)
    except (OSError, http.client.HTTPException) as error:
        return Finding(
            id=_ID,
            level="problem",
            subject=SUBJECT,
            what="a page served over AF_XDP on a veth pair did not arrive",
            why=str(error) or type(error).__name__,
            remedy="'sudo bypass demo -v' shows more",
        )
    return Finding(
        id=_ID, level="ok", subject=SUBJECT, what=f"a page made the trip over AF_XDP on a veth pair ({modes})"
    )


def _serve_and_fetch(text: str) -> str:
    """Raises unless the text arrives; returns how it was served."""
    with suppress(BypassError):
        remove_stale()
    with (
        tempfile.TemporaryDirectory() as folder,
        VethPair(isolate_server=True) as pair,
        pair.inside_server(),
    ):
        Path(folder, "index.html").write_text(text)
        options = ServeOptions(site=folder, interface=pair.server.ifname, connections=64)
        plan = prepare(options, "bypass check")
        with (
            open_site(Path(folder), None) as image,
            open_server(plan, image.buffer, kernel_parts()) as server,
        ):
            assert pair.client.namespace is not None
            for address in (pair.server.v4, pair.server.v6):
                url = url_of(address, server.plan.port)
                page = fetch(url, pair.client.namespace)
                if page.body.decode(errors="replace") != text:
                    raise BypassError(
                        f"{url}: another page came than was served", why=f"status {page.status}"
                    )
            server.require_alive()
            return f"{server.mode} mode, {'zero-copy' if server.zero_copy else 'copy'}"
