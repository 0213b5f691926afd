"""Judges the small sections of an image: indexes, hosts, rules, areas, policies, lines."""

from __future__ import annotations

from collections.abc import Sequence

from bypass._engine import image_hash
from bypass.site.flaw import Flaw, require
from bypass.site.index import home_of
from bypass.site.layout import (
    AREA,
    CAPTURES_MOST,
    DIGEST_BYTES,
    EMPTY_SLOT,
    HOST,
    KEY_AREA,
    KEY_HOST,
    KEY_PAGE,
    KEY_POLICY,
    KEY_WILD_HOST,
    LINE,
    LINE_BYTES_MOST,
    LINE_SLOTS,
    LINES_MOST,
    NONE,
    POLICY,
    RESPONSE_CARE,
    RULE,
    ErrorSlot,
    HostFeature,
    HostRecord,
    Op,
    ResponseRecord,
    RuleFlag,
    RuleRecord,
    host_from,
)
from bypass.site.sections import Header

RULES_MOST = 4096
_MATCHERS = (Op.TEXT, Op.SEGMENT, Op.STAR)


def check_tables(image: memoryview, header: Header, responses: Sequence[ResponseRecord]) -> None:
    """Raises Flaw. The responses are sound."""
    lie = header.sections
    hosts = [host_from(fields) for fields in HOST.iter_unpack(image[lie.span("hosts_count")])]
    require(len(hosts) > 0, "it has no host")
    keys = _Keys(image, header, responses)
    numbers = {KEY_AREA: lie.areas_count, KEY_POLICY: lie.policies_count}
    for number, host in enumerate(hosts):
        entries = keys.take(host.slots_first, host.slots_count)
        _check_host(host, number, entries, numbers, responses, lie.rules_count)
    if header.names_count:
        for key, number in keys.take(header.names_first, header.names_count):
            require(
                key[:1] in (KEY_HOST, KEY_WILD_HOST) and number < len(hosts), "a host's name leads nowhere"
            )
    else:
        require(header.names_first == 0, "it has names of hosts, and none")
    keys.finish()
    require(header.default_host in (NONE, *range(len(hosts))), "its default host is none of its hosts")
    require(header.default_host != NONE or header.names_count > 0, "no host can be reached")
    _check_errors(header.errors, responses)
    texts = bytes(image[lie.span("texts_bytes")])
    _check_rules(image, header, texts, responses)
    _check_areas(image, header, responses)
    _check_policies(image, header, responses)


class _Keys:
    """Walks the indexes one after another: every key can be found where a search looks for it."""

    def __init__(self, image: memoryview, header: Header, responses: Sequence[ResponseRecord]) -> None:
        self.header = header
        self.responses = responses
        self.lie = header.sections
        self.slots = image[self.lie.span("slots_count")].cast("I")
        self.paths = bytes(image[self.lie.span("paths_bytes")])
        self.slots_end = self.paths_end = 0
        self.max_probe = 1

    def take(self, first: int, count: int) -> list[tuple[bytes, int]]:
        """The keys and numbers of the index that begins at slot `first`, the next one."""
        require(
            first == self.slots_end and first + count <= self.lie.slots_count,
            "its indexes do not follow one another",
        )
        require(
            count >= LINE_SLOTS and count & (count - 1) == 0,
            f"an index has {count} slots, not a power of two",
        )
        self.slots_end = first + count
        slots = self.slots[4 * first : 4 * (first + count)]
        tags, numbers = slots[0::4].tolist(), slots[1::4].tolist()
        offsets, sizes = slots[2::4].tolist(), slots[3::4].tolist()
        run = _run_before(numbers)
        found: list[tuple[bytes, int]] = []
        for slot, number in enumerate(numbers):
            if number == EMPTY_SLOT:
                run = 0
                continue
            run += 1
            key = self._key(number, offsets[slot], sizes[slot])
            require(len(key) == sizes[slot] > 0, f"slot {first + slot} has no proper key")
            hashed = image_hash(key)
            probe = ((slot - home_of(hashed, count)) & (count - 1)) + 1
            require(
                tags[slot] == hashed >> 32 and probe <= run,
                f"the key of slot {first + slot} cannot be found",
            )
            self.max_probe = max(self.max_probe, probe)
            found.append((key, number))
        require(2 * len(found) <= count, "more than half of its slots are taken")
        require(len({key for key, _ in found}) == len(found), "a key occurs twice")
        ends = [offset + size for offset, size in zip(offsets, sizes, strict=True) if offset != NONE]
        self.paths_end = max(self.paths_end, max(ends, default=0))
        return found

    def _key(self, number: int, offset: int, size: int) -> bytes:
        """Empty for one in the card of no response, or a key in a card that is no path."""
        if offset != NONE:
            return self.paths[offset : offset + size]
        key = self.responses[number].key if number < len(self.responses) else b""
        return key if key[:1] == b"/" else b""

    def finish(self) -> None:
        lie, probe = self.lie, self.header.max_probe
        require(self.slots_end == lie.slots_count, "slots_count is not what its indexes need")
        require(self.paths_end == lie.paths_bytes, "paths_bytes is not what the slots need")
        require(self.max_probe == probe, f"max_probe is {probe}, not {self.max_probe}")


def _run_before(numbers: list[int]) -> int:
    """How many slots in a row are taken at the end of the table, right before slot 0."""
    run = 0
    while run < len(numbers) and numbers[-1 - run] != EMPTY_SLOT:
        run += 1
    return run


def _check_host(
    host: HostRecord,
    number: int,
    entries: list[tuple[bytes, int]],
    numbers: dict[bytes, int],
    responses: Sequence[ResponseRecord],
    rules_count: int,
) -> None:
    features = HostFeature(host.features & 15)
    require(
        host.features < 16
        and host.rules_first + host.rules_count <= rules_count
        and host.rules_count <= RULES_MOST
        and (HostFeature.RULES in features) == (host.rules_count > 0)
        and host.pages < 1 << len(ErrorSlot),
        f"host {number} is malformed",
    )
    _check_errors(host.errors, responses)
    depth = 0
    for key, value in entries:
        if key[:1] == b"/":
            require(value < len(responses), f"a path leads to response {value} of {len(responses)}")
            continue
        require(
            key[2:3] == b"/" and key[-1:] == b"/", f"host {number} has a key that is neither path nor folder"
        )
        depth = max(depth, key.count(b"/") - 1)
        if key[:1] == KEY_PAGE:
            slot = key[1] - 65
            require(
                0 <= slot < len(ErrorSlot)
                and host.pages >> slot & 1 == 1
                and value < len(responses)
                and responses[value].status == ErrorSlot(slot).status,
                f"host {number} has an error page that is none",
            )
        else:
            require(value < numbers.get(key[:2], 0), f"host {number} has a folder that leads nowhere")
    require(depth == host.depth, f"host {number} has folders of depth {depth}, not {host.depth}")


def _check_errors(errors: tuple[int, ...], responses: Sequence[ResponseRecord]) -> None:
    for slot, response in zip(ErrorSlot, errors, strict=True):
        require(response < len(responses), f"error {slot.status} names response {response}")
        status = responses[response].status
        require(status == slot.status, f"error {slot.status} answers {status}")


def _check_rules(
    image: memoryview, header: Header, texts: bytes, responses: Sequence[ResponseRecord]
) -> None:
    for number, fields in enumerate(RULE.iter_unpack(image[header.sections.span("rules_count")])):
        rule = RuleRecord(*fields)
        redirects = rule.flags & RuleFlag.REDIRECT != 0
        plain = (
            rule.answer < len(responses)
            and not responses[rule.answer].flags & RESPONSE_CARE
            and responses[rule.answer].status == rule.status
        )
        pattern = _program(texts, rule.pattern_offset, rule.pattern_bytes)
        query = _program(texts, rule.query_offset, rule.query_bytes)
        target = _program(texts, rule.target_offset, rule.target_bytes)
        require(
            rule.flags < 8
            and redirects == (300 <= rule.status < 400)
            and (plain if redirects else rule.answer == NONE or rule.answer < len(responses))
            and _is_pattern(pattern)
            and _is_query(query)
            and _is_target(target, visible=redirects)
            and (redirects or rule.answer != NONE or _makes_path(target)),
            f"rule {number} is malformed",
        )


def _program(texts: bytes, start: int, size: int) -> list[tuple[Op, int, bytes]]:
    """The instructions of a program; Flaw when it is none."""
    end, found = start + size, []
    require(end <= len(texts), "a rule leads out of the texts")
    while start < end:
        op, number = texts[start], int.from_bytes(texts[start + 1 : start + 3], "little")
        octets = number if op in (Op.TEXT, Op.PARAMETER) else 0
        start += 3 + octets
        if op not in Op.__members__.values() or start > end or not (octets or number < CAPTURES_MOST):
            raise Flaw("a rule is no program")
        found.append((Op(op), number, texts[start - octets : start]))
    return found


def _is_pattern(program: list[tuple[Op, int, bytes]]) -> bool:
    ops = [op for op, _, _ in program]
    star = ops.index(Op.STAR) if Op.STAR in ops else len(ops)
    return (
        all(op in _MATCHERS for op in ops)
        and program[:1] != []
        and program[0][2][:1] == b"/"
        and ops[star + 1 :] in ([], [Op.TEXT])
    )


def _is_query(program: list[tuple[Op, int, bytes]]) -> bool:
    names, values = program[0::2], program[1::2]
    return (
        len(names) == len(values)
        and all(op == Op.PARAMETER for op, _, _ in names)
        and all(op in (Op.TEXT, Op.SEGMENT) for op, _, _ in values)
    )


def _is_target(program: list[tuple[Op, int, bytes]], *, visible: bool) -> bool:
    ops = (Op.TEXT, Op.PATH, Op.QUERY) if visible else (Op.TEXT, Op.RAW)
    texts = b"".join(octets for _, _, octets in program)
    return all(op in ops for op, _, _ in program) and (
        not visible or all(32 < octet < 127 for octet in texts)
    )


def _makes_path(target: list[tuple[Op, int, bytes]]) -> bool:
    """Not a key of another kind in the host's index: its number would be taken for a response's."""
    return target[:1] != [] and target[0][2][:1] == b"/"


def _check_areas(image: memoryview, header: Header, responses: Sequence[ResponseRecord]) -> None:
    lie = header.sections
    for number, (response, offset, count, _) in enumerate(AREA.iter_unpack(image[lie.span("areas_count")])):
        require(
            response < len(responses)
            and responses[response].status == 401
            and offset + count * DIGEST_BYTES <= lie.texts_bytes,
            f"area {number} is malformed",
        )


def _check_policies(image: memoryview, header: Header, responses: Sequence[ResponseRecord]) -> None:
    lie = header.sections
    require(lie.lines_count <= LINES_MOST, f"it has {lie.lines_count} lines")
    for offset, octets in LINE.iter_unpack(image[lie.span("lines_count")]):
        require(
            offset + octets <= lie.texts_bytes and octets <= LINE_BYTES_MOST, "a line leads out of the texts"
        )
    for number, fields in enumerate(POLICY.iter_unpack(image[lie.span("policies_count")])):
        preflight, first, origins, anyone = fields
        require(
            preflight < len(responses)
            and responses[preflight].status == 204
            and not responses[preflight].flags & RESPONSE_CARE
            and first + 1 + 2 * origins <= lie.lines_count
            and anyone == (origins == 0),
            f"policy {number} is malformed",
        )
