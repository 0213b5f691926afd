"""The forms of every file: its octets, those that lie compressed beside it, and those that are made here.

Making them is spread over threads; what is made does not depend on their number or order. A compressed file
beside a plain one is used when it unfolds to the plain one, and told about otherwise. What was found out last
time, about a file that has not changed since, is not found out again (recall.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from bypass.site.files.compress import (
    CODINGS,
    SUFFIXES,
    compress,
    decoded_digest,
    is_compressible,
    is_worth_trying,
)
from bypass.site.files.recall import FileFacts, Recall, Variant
from bypass.site.mime import ContentTypes
from bypass.site.resource import Coding, Representation
from bypass.site.rules.pattern import Pattern
from bypass.site.rules.settings import Compression
from bypass.site.scan import Asset
from bypass.site.source import chunks_of, read_small
from bypass.site.text import printable

MOST_UNFOLDED_BYTES = 16 << 30
_AHEAD = 4  # jobs that wait for each thread

Step = Callable[[int, int], None]
"""Called with the octets of the files whose forms are ready, and of all that need any."""


@dataclass(slots=True)
class Forms:
    """by_url: representations in the compiler's order, of plain paths (also those that only a compressed
    file stands for). plain: the file that a path's content comes from. warnings: for people."""

    by_url: dict[bytes, tuple[Representation, ...]] = field(default_factory=dict)
    plain: dict[bytes, Asset] = field(default_factory=dict)
    saved_bytes: dict[str, int] = field(default_factory=dict)
    variants: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Job:
    """One path. plain: None where only compressed files are there. beside: those. try_: codings."""

    url: bytes
    plain: Asset | None
    beside: Mapping[Coding, Asset]
    try_: tuple[Coding, ...]


@dataclass(slots=True)
class _Done:
    job: _Job
    forms: list[Representation]
    warnings: list[str]
    facts: FileFacts | None = None


def make_forms(
    assets: list[Asset],
    types: ContentTypes,
    settings: Compression,
    recall: Recall,
    step: Step,
    threads: int = 0,
) -> Forms:
    """The forms of all files. threads: 0 means one for each CPU. Raises SiteError."""
    forms = Forms()
    jobs = []
    for job in _jobs(assets, types, settings):
        if job.plain is not None and not job.beside and not job.try_:
            forms.plain[job.url] = job.plain
            forms.by_url[job.url] = (Representation(job.plain, "", recall.digest_of(job.plain)),)
            continue
        jobs.append(job)
    ready, total = 0, sum(job.plain.size for job in jobs if job.plain)
    for done in _work(jobs, settings, recall, threads or os.cpu_count() or 1):
        _take(forms, done, recall)
        ready += done.job.plain.size if done.job.plain else 0
        step(ready, total)
    return forms


def _take(forms: Forms, done: _Done, recall: Recall) -> None:
    job = done.job
    forms.warnings += done.warnings
    if not done.forms:
        return
    forms.plain[job.url] = job.plain or next(iter(job.beside.values()))
    forms.by_url[job.url] = tuple(done.forms)
    if done.facts is not None and job.plain is not None:
        recall.learn(job.plain, done.facts)
    for form in done.forms:
        if form.coding:
            forms.variants[form.coding] = forms.variants.get(form.coding, 0) + 1
            if job.plain is not None:
                saved = forms.saved_bytes.get(form.coding, 0) + job.plain.size - form.size
                forms.saved_bytes[form.coding] = saved


def _jobs(assets: list[Asset], types: ContentTypes, settings: Compression) -> Iterator[_Job]:
    by_url = {asset.url: asset for asset in assets}
    beside = _beside(by_url, types, settings) if settings.sidecars else {}
    excluded = [Pattern.parse(text) for text in settings.exclude]
    wanted: tuple[Coding, ...] = tuple(coding for coding in CODINGS if coding in settings.codings)
    for asset in assets:
        there = beside.pop(asset.url, {}) if beside else {}
        tried: tuple[Coding, ...] = ()
        if (
            wanted
            and is_worth_trying(types.of(asset.url), asset.size, settings)
            and not any(pattern.matches(asset.url) for pattern in excluded)
        ):
            tried = tuple(coding for coding in wanted if coding not in there)
        yield _Job(asset.url, asset, there, tried)
    for url, there in beside.items():
        yield _Job(url, None, there, ())


def _beside(
    by_url: Mapping[bytes, Asset], types: ContentTypes, settings: Compression
) -> dict[bytes, dict[Coding, Asset]]:
    """Compressed files by the path that they stand for: of a plain file, or of a type worth compressing."""
    found: dict[bytes, dict[Coding, Asset]] = {}
    for url, asset in by_url.items():
        dot = url.rfind(b".")
        coding = SUFFIXES.get(url[dot:]) if dot > 0 else None
        if coding is None:
            continue
        plain = url[:dot]
        if plain.endswith(b"/") or (plain not in by_url and not is_compressible(types.of(plain), settings)):
            continue
        found.setdefault(plain, {})[coding] = asset
    return found


def _work(jobs: list[_Job], settings: Compression, recall: Recall, threads: int) -> Iterator[_Done]:
    """The results in the order of the jobs; a bounded number of them is under way."""
    if len(jobs) < 2 or threads < 2:
        yield from (_do(job, settings, recall) for job in jobs)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="compress") as pool:
        left = iter(jobs)
        under_way = [pool.submit(_do, job, settings, recall) for job in islice(left, threads * _AHEAD)]
        try:
            while under_way:
                done = under_way.pop(0).result()
                under_way += [pool.submit(_do, job, settings, recall) for job in islice(left, 1)]
                yield done
        finally:
            for waiting in under_way:
                waiting.cancel()


def _do(job: _Job, settings: Compression, recall: Recall) -> _Done:
    done = _Done(job, [], [])
    if job.plain is None:
        for coding in CODINGS:
            if coding in job.beside and _is_sound(done, coding, job.beside[coding]):
                asset = job.beside[coding]
                done.forms.append(Representation(asset, coding, recall.digest_of(asset)))
        return done
    key = recall.key(job.try_, settings, job.beside.values())
    known = recall.forms_of(job.plain, key)
    facts = known or _find_out(job, settings, done, key, recall)
    done.forms.append(Representation(job.plain, "", facts.digest))
    for coding in CODINGS:
        if coding in facts.refused:
            done.warnings.append(facts.refused[coding])
        elif coding in job.beside:
            done.forms.append(
                Representation(job.beside[coding], coding, recall.digest_of(job.beside[coding]))
            )
        elif coding in facts.variants:
            variant = facts.variants[coding]
            done.forms.append(
                Representation(variant.octets or recall.octets_of(variant), coding, variant.digest or None)
            )
    done.facts = facts
    return done


def _find_out(job: _Job, settings: Compression, done: _Done, key: bytes, recall: Recall) -> FileFacts:
    """Reads the plain file once: its digest, and what its variants are."""
    plain = job.plain
    assert plain is not None
    variants: dict[Coding, Variant] = {}
    if job.try_:
        content = read_small(plain, _silent)
        found = _digest_of(content)
        for coding in job.try_:
            packed = compress(coding, content, settings)
            if packed is not None:
                variants[coding] = Variant(_digest_of(packed), len(packed), packed)
    else:
        found = recall.read_digest(plain, _silent)
    refused = {
        coding: text
        for coding, asset in job.beside.items()
        if (text := _why_stale(coding, asset, plain, found))
    }
    return FileFacts(key, found, variants, refused)


def _why_stale(coding: Coding, asset: Asset, plain: Asset, found: bytes) -> str:
    name, plain_name = printable(asset.url), printable(plain.url)
    try:
        unfolded, _ = decoded_digest(coding, chunks_of(asset), max(plain.size, 1))
    except ValueError as error:
        return f"{name} is not used for {plain_name}: {error}"
    return "" if unfolded == found else f"{name} is not used for {plain_name}: it holds something else"


def _is_sound(done: _Done, coding: Coding, asset: Asset) -> bool:
    try:
        decoded_digest(coding, chunks_of(asset), MOST_UNFOLDED_BYTES)
    except ValueError as error:
        done.warnings.append(f"{printable(asset.url)} is served as it is: {error}")
        return False
    return True


def _digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _silent(_: int) -> None:
    pass
