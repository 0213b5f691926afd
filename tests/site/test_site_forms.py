"""Compressed forms and hosts of a site, as the engine answers them."""

from __future__ import annotations

import gzip
import html
import os
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

import bypass
from bypass.errors import SiteError
from bypass.site.output import build_image_file
from bypass.site.rules.settings import Compression, SiteConfig, SiteSettings
from tests.engine_http.client import Net

PAGE = b"<!doctype html><title>page</title>" + b"<p>words and words" * 200
CODINGS = ["br", "zstd", "gzip"]
UNPACK = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "zstd": lambda packed: zstandard.ZstdDecompressor().decompress(packed),
    None: bytes,
}


class Client:
    """Asks one engine, which serves a folder."""

    def __init__(self, site: bypass.Site) -> None:
        self.net = Net(site.image.buffer)

    def get(self, path: str, host: str = "h", **fields: str) -> tuple[int, dict[str, str], bytes]:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        head, _, body = self.net.connect().ask("\r\n".join([*lines, "", ""]).encode()).partition(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in rest), body


@pytest.fixture
def packed(tmp_path: Path) -> Iterator[Client]:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "dot.png").write_bytes(PAGE)
    (tmp_path / "small.txt").write_bytes(b"a" * 100)
    with bypass.Site.compile(tmp_path, settings={"compression": {"codings": CODINGS}}) as site:
        client = Client(site)
        yield client
        assert client.net.engine.frames_lost() == 0
        del client


@pytest.mark.parametrize("coding", [*CODINGS, None])
def test_each_client_gets_the_form_that_it_takes(packed: Client, coding: str | None) -> None:
    status, fields, body = packed.get("/", Accept_Encoding=coding or "identity")
    assert status == 200
    assert fields.get("Content-Encoding") == coding
    assert "Accept-Encoding" in fields["Vary"]
    assert UNPACK[coding](body) == PAGE
    assert len(body) == int(fields["Content-Length"])


def test_every_form_has_a_tag_of_its_own_and_answers_to_it(packed: Client) -> None:
    tags = {coding: packed.get("/", Accept_Encoding=coding)[1]["ETag"] for coding in [*CODINGS, "identity"]}
    assert len(set(tags.values())) == 4
    for coding, tag in tags.items():
        assert packed.get("/", Accept_Encoding=coding, If_None_Match=tag)[0] == 304
        others = {other for name, other in tags.items() if name != coding}
        assert packed.get("/", Accept_Encoding=coding, If_None_Match=", ".join(others))[0] == 200


def test_a_range_is_one_of_the_form_that_is_sent(packed: Client) -> None:
    whole = packed.get("/", Accept_Encoding="gzip")[2]
    status, _, part = packed.get("/", Accept_Encoding="gzip", Range="bytes=5-20")
    assert (status, part) == (206, whole[5:21])


def test_what_would_not_pay_has_one_form(packed: Client) -> None:
    for path in ("/dot.png", "/small.txt"):
        _, fields, _ = packed.get(path, Accept_Encoding="br, gzip, zstd")
        assert "Content-Encoding" not in fields
        assert "Vary" not in fields


def site_of(root: Path, **settings: object) -> bypass.Site:
    return bypass.Site.compile(root, settings=settings)


def test_a_file_beside_is_used_and_keeps_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "a.html.gz").write_bytes(gzip.compress(PAGE, 1))
    with site_of(tmp_path) as site:
        client = Client(site)
        status, fields, body = client.get("/a.html", Accept_Encoding="gzip")
        assert (status, fields["Content-Encoding"]) == (200, "gzip")
        assert body == (tmp_path / "a.html.gz").read_bytes()
        assert client.get("/a.html")[2] == PAGE
        _, own, octets = client.get("/a.html.gz", Accept_Encoding="gzip")
        assert own["Content-Type"] == "application/gzip"
        assert "Content-Encoding" not in own
        assert octets == body
        del client


def test_a_file_beside_is_preferred_to_one_that_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "a.html.br").write_bytes(brotli.compress(PAGE, quality=1))
    with site_of(tmp_path, compression={"codings": CODINGS}) as site:
        client = Client(site)
        assert client.get("/a.html", Accept_Encoding="br")[2] == (tmp_path / "a.html.br").read_bytes()
        assert client.get("/a.html", Accept_Encoding="gzip")[1]["Content-Encoding"] == "gzip"
        del client


def test_compressed_files_alone_answer_for_the_plain_one(tmp_path: Path) -> None:
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(PAGE))
    (tmp_path / "backup.tar.gz").write_bytes(gzip.compress(PAGE))
    with site_of(tmp_path) as site:
        client = Client(site)
        status, fields, body = client.get("/data.csv", Accept_Encoding="gzip")
        assert (status, fields["Content-Encoding"]) == (200, "gzip")
        assert fields["Content-Type"] == "text/csv; charset=utf-8"
        assert gzip.decompress(body) == PAGE
        assert client.get("/data.csv", Accept_Encoding="identity")[0] == 406
        assert client.get("/backup.tar", Accept_Encoding="gzip")[0] == 404
        del client


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"something else"), "it holds something else"),
        (gzip.compress(PAGE)[:-9], "it ends early"),
        (b"no gzip at all", "incorrect header"),
        (gzip.compress(PAGE * 50), "stands for more than"),
    ],
)
def test_a_file_beside_that_is_not_the_plain_one_is_named_and_left_aside(
    tmp_path: Path, content: bytes, why: str
) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "a.html").write_bytes(PAGE)
    (root / "a.html.gz").write_bytes(content)
    summary = build_image_file(root, tmp_path / "x.img")
    (warning,) = summary.account.warnings
    assert warning.startswith("/a.html.gz is not used for /a.html: ")
    assert why in warning
    with bypass.Site.open(tmp_path / "x.img") as site:
        client = Client(site)
        assert client.get("/a.html", Accept_Encoding="gzip")[2] == PAGE
        del client


def test_files_beside_can_be_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "a.html.gz").write_bytes(gzip.compress(PAGE))
    with site_of(tmp_path, compression={"sidecars": False}) as site:
        client = Client(site)
        assert "Content-Encoding" not in client.get("/a.html", Accept_Encoding="gzip")[1]
        del client


def test_the_summary_counts_forms_types_and_what_they_save(tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "a.html").write_bytes(PAGE)
    (root / "b.png").write_bytes(b"x" * 500)
    config = SiteConfig(site=SiteSettings(compression=Compression(codings=("br", "gzip"))))
    account = build_image_file(root, tmp_path / "x.img", config=config).account
    assert account.variants == {"br": 1, "gzip": 1}
    assert all(0 < saved < len(PAGE) for saved in account.saved_bytes.values())
    assert account.types == {"text/html": (1, len(PAGE)), "image/png": (1, 500)}


# ---- hosts ----


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Client]:
    for name in ("main", "docs", "rest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
        (tmp_path / name / "404.html").write_text(f"{name}: lost")
    rules = "https://old.example.org/* https://example.org/:splat 301!\n"
    (tmp_path / "main" / "_redirects").write_text(rules)
    (tmp_path / "bypass.toml").write_text(
        """
[[host]]
names = ["example.org", "WWW.example.org"]
root = "main"
[[host]]
names = ["*.docs.example.org"]
root = "docs"
security-headers = "basic"
"""
    )
    with bypass.Site.compile(tmp_path / "rest", config=tmp_path / "bypass.toml") as site:
        client = Client(site)
        yield client
        del client


@pytest.mark.parametrize(
    ("host", "body"),
    [
        ("example.org", "main"),
        ("EXAMPLE.org:8080", "main"),
        ("www.example.org", "main"),
        ("v2.docs.example.org", "docs"),
        ("docs.example.org", "rest"),
        ("elsewhere", "rest"),
    ],
)
def test_each_name_has_its_folder(hosts: Client, host: str, body: str) -> None:
    assert hosts.get("/", host)[2].decode() == body
    status, _, page = hosts.get("/nothing", host)
    assert (status, page.decode()) == (404, f"{body}: lost")


def test_settings_of_a_host_are_its_own(hosts: Client) -> None:
    assert "X-Frame-Options" in hosts.get("/", "a.docs.example.org")[1]
    assert "X-Frame-Options" not in hosts.get("/", "example.org")[1]


def test_a_name_that_only_a_rule_knows_is_a_host(hosts: Client) -> None:
    status, fields, _ = hosts.get("/a/b", "old.example.org")
    assert (status, fields["Location"]) == (301, "https://example.org/a/b")
    assert hosts.get("/a/b", "example.org")[0] == 404


# ---- what is refused ----


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spa": "/none.html"}, "spa = '/none.html': the site has no such file"),
        ({"error-pages": {"404": "/none.html"}}, "error-pages.404 = /none.html: the site has no such file"),
        ({"error-pages": {"499": "/index.html"}}, "no such error arises here"),
        ({"rewrite": [{"from": "/a", "to": "/none.html"}]}, "/a to /none.html: the site has no page there"),
        ({"auth": [{"path": "/*", "users-file": "none"}]}, "none: cannot be read"),
    ],
)
def test_settings_that_the_files_do_not_bear_out_are_named(
    tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    with pytest.raises(SiteError) as caught:
        site_of(tmp_path, **settings)
    assert words in str(caught.value)


def test_users_can_stand_in_a_file_and_its_lines_are_not_shown(tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_bytes(PAGE)
    config = tmp_path / "bypass.toml"
    config.write_text('[[site.auth]]\npath = "/*"\nusers-file = "users"\n')
    for text in ("hunter2\n", "ann:$2y$10$hunter2\n"):
        (tmp_path / "users").write_text("# who may\n" + text)
        with pytest.raises(SiteError, match=r"users:2: ") as caught:
            bypass.Site.compile(root, config=config)
        assert "hunter2" not in str(caught.value)
    (tmp_path / "users").write_text("ann:hunter2\n")
    with bypass.Site.compile(root, config=config) as site:
        client = Client(site)
        assert client.get("/")[0] == 401
        assert client.get("/", Authorization="Basic YW5uOmh1bnRlcjI=")[0] == 200
        del client
        assert b"hunter2" not in bytes(site.image.buffer)


def test_no_rules_file_is_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "_redirects").write_text("/a /index.html\n")
    (tmp_path / "_headers").write_text("/*\n  X-A: 1\n")
    with site_of(tmp_path) as site:
        assert "/_redirects" not in site
        assert "/_headers" not in site
    with site_of(tmp_path, **{"redirects-file": "", "headers-file": ""}) as site:
        assert "/_redirects" in site
        assert "/a" not in site


def test_listed_folders_and_their_names_are_answered(tmp_path: Path) -> None:
    name = "a b<c>&'\"é.txt"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_bytes(b"x")
    os.utime(tmp_path / "sub" / name, (1, 1))
    with site_of(tmp_path, listing=True) as site:
        client = Client(site)
        listing = client.get("/sub/")[2].decode()
        link = html.unescape(listing.split('href="./')[1].split('"')[0])
        assert client.get("/sub/" + link)[0] == 200
        assert client.get("/sub/listing.json")[0] == 200
        assert client.get("/")[2].count(b"sub/") >= 1
        del client
