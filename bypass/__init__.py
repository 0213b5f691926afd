"""A static web server that takes packets straight from the NIC queue (AF_XDP).

    import bypass

    with bypass.Server("./site", interface="eth1") as server:
        print(*server.urls)
        server.wait()

Site and Server are bypass/api.py; they are loaded when they are first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bypass.api import Server as Server
    from bypass.api import Site as Site

__version__ = "0.1.0"
__all__ = ["Server", "Site", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("Server", "Site"):
        from bypass import api

        return getattr(api, name)
    raise AttributeError(f"module 'bypass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
