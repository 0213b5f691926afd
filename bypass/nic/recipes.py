"""Recipes by driver: what suits AF_XDP on it, and what to be warned of. TOML, beside this module.

config/nic is the same folder. A driver without a recipe gets generic.toml.
"""

from __future__ import annotations

import tomllib
from importlib import resources

import msgspec

GENERIC = "generic"


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Of one driver.

    rings_at_least, coalesce_at_most: bounds; what is within them stays. offloads_off: by the kernel's
    name. resets_link: kinds of settings whose change takes the link down for a moment. xdp_halves_queues:
    XDP needs a transmit queue of its own for each queue. port_rules: ntuple rules can look at a port.
    caution: warnings for people, one sentence each.
    """

    driver: str
    sources: tuple[str, ...]
    rings_at_least: dict[str, int] = {}
    coalesce_at_most: dict[str, int] = {}
    adaptive_coalescing: bool = False
    offloads_off: dict[str, str] = {}
    busy_poll_defer: int = 2
    busy_poll_flush_ns: int = 200_000
    resets_link: tuple[str, ...] = ()
    xdp_halves_queues: bool = False
    port_rules: bool = True
    caution: tuple[str, ...] = ()


def recipe_for(driver: str) -> Recipe:
    """The driver's own recipe, or the generic one."""
    file = resources.files(__package__).joinpath("recipes", f"{driver}.toml")
    if not driver.replace("_", "").isalnum() or not file.is_file():
        file = resources.files(__package__).joinpath("recipes", f"{GENERIC}.toml")
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Recipe)


def known_drivers() -> list[str]:
    folder = resources.files(__package__).joinpath("recipes")
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )
