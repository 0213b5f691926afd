"""Where everything lies in an image: decided before anything is written.

The cards of the responses hold what of a small file is nobody else's: the end of its head, its path and its
body. Other bodies and keys, and what heads have in common, have sections of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from bypass.site.heads import own_size
from bypass.site.hosts import Tables
from bypass.site.index import PathIndex, build_index
from bypass.site.layout import CARD_AT, CARD_KEY_MOST, RESPONSE, aligned, fits_card, sums_of
from bypass.site.plan import Plan
from bypass.site.sections import Sections


@dataclass(frozen=True, slots=True)
class Places:
    """By number: of fronts, offsets into the heads section; of bodies, from the start of the image, but of a
    large one its number among them; sums_first in sums; of each response, the key in its card, empty without.
    indexes: of the hosts, then that of their names if they have any."""

    sections: Sections
    fronts: list[int]
    bodies: list[int]
    sums_first: list[int]
    keys: list[bytes]
    indexes: list[PathIndex]

    def is_near(self, body: int) -> bool:
        """Whether it, which is in the image, lies in a card: then it has no sums."""
        return self.bodies[body] < self.sections.bodies_offset


def find_places(plan: Plan, tables: Tables) -> Places:
    fronts, heads_end = [], 0
    for front in plan.fronts:
        fronts.append(aligned(heads_end))
        heads_end = fronts[-1] + len(front.octets)
    keys, indexes = _place_keys(plan, tables)
    near = _near_bodies(plan, keys)
    bodies, sums_first = [], []
    bodies_end = sums_end = large = 0
    for number, body in enumerate(plan.bodies):
        if near[number] or body.is_large:
            bodies.append(large if body.is_large else near[number])
            sums_first.append(0)
            large += body.is_large
            continue
        bodies.append(aligned(bodies_end))
        bodies_end = bodies[-1] + body.size
        sums_first.append(sums_end)
        sums_end += sums_of(body.size)
    sections = Sections(
        slots_count=sum(index.slots_count for index in indexes),
        paths_bytes=sum(len(index.paths) for index in indexes),
        hosts_count=len(tables.hosts),
        resources_count=len(plan.resources),
        rules_count=len(tables.rules),
        areas_count=len(tables.areas),
        policies_count=len(tables.policies),
        lines_count=len(tables.lines),
        texts_bytes=len(plan.texts),
        responses_count=len(plan.responses),
        heads_bytes=heads_end,
        sums_count=sums_end,
        bodies_bytes=bodies_end,
    )
    cards, far = sections.responses_offset, sections.bodies_offset
    for number, body in enumerate(plan.bodies):
        if not body.is_large:
            bodies[number] += cards if near[number] else far
    return Places(sections, fronts, bodies, sums_first, keys, indexes)


def _place_keys(plan: Plan, tables: Tables) -> tuple[list[bytes], list[PathIndex]]:
    """The keys in cards, by response, and all indexes. A response has the first path that leads to it, in the
    order of hosts and octets, unless that is long."""
    keys = [b""] * len(plan.responses)
    indexes: list[PathIndex] = []
    paths_end = 0
    for entries in [*tables.keys, *([tables.names] if tables.names else [])]:
        inside = bytearray(len(entries))
        for each, (key, number) in enumerate(entries):
            if key[:1] == b"/" and len(key) <= CARD_KEY_MOST and not keys[number]:
                keys[number] = key
                inside[each] = 1
        indexes.append(build_index(entries, paths_end, inside))
        paths_end += len(indexes[-1].paths)
    return keys, indexes


def _near_bodies(plan: Plan, keys: list[bytes]) -> list[int]:
    """Of each body that lies in a card where that is within the responses section, of others 0."""
    holders = [-1] * len(plan.bodies)
    shared = bytearray(len(plan.bodies))
    for number, response in enumerate(plan.responses):
        shared[response.body] |= holders[response.body] >= 0
        holders[response.body] = number
    places = [0] * len(plan.bodies)
    for body, number in enumerate(holders):
        response, key_bytes = plan.responses[number], len(keys[number])
        own_bytes = own_size(response.status, response.modified, response.length)
        alone = not (shared[body] or plan.bodies[body].is_large)
        if alone and fits_card(own_bytes, key_bytes, plan.bodies[body].size):
            places[body] = number * RESPONSE.size + CARD_AT + own_bytes + key_bytes
    return places
