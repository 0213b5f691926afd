"""What must not get out: pages of an area by another path, files that hold passwords, shared caches."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

import bypass
from bypass.errors import SiteError
from tests.site.test_site_forms import Client

PAGE = b"<!doctype html><p>members only\n" * 20
AREA = {"path": "/secret.html", "users": {"ann": "pw"}}
ANN = "Basic YW5uOnB3"


def answers(root: Path, *paths: str, **settings: Any) -> dict[str, int]:
    with bypass.Site.compile(root, settings=settings) as site:
        client = Client(site)
        found = {path: client.get(path, Accept_Encoding="gzip")[0] for path in paths}
        del client
        return found


def test_every_path_of_a_protected_page_asks_for_the_password(tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_bytes(PAGE)
    (tmp_path / "secret.html.gz").write_bytes(gzip.compress(PAGE))
    (tmp_path / "index.html").write_bytes(b"home")
    (tmp_path / "_redirects").write_text("/pub /secret.html 200\n/gone /secret.html 410\n")
    found = answers(tmp_path, "/secret.html", "/secret.html.gz", "/pub", "/gone", auth=[AREA])
    assert set(found.values()) == {401}, found


@pytest.mark.parametrize("path", ["/secret", "/secret/", "/secret.html"])
def test_a_clean_url_is_no_way_around_an_area(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_bytes(PAGE)
    settings = {"auth": [AREA], "clean-urls": True}
    with bypass.Site.compile(tmp_path, settings=settings) as site:
        client = Client(site)
        status, fields, body = client.get(path)
        assert status == 401 or (status in (301, 308) and fields["Location"] == "/secret")
        assert b"members" not in body
        assert client.get("/secret", Authorization=ANN)[0] == 200
        del client


def test_a_folder_is_no_way_around_the_area_of_its_index(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "index.html").write_bytes(PAGE)
    found = answers(tmp_path, "/d/", "/d/index.html", auth=[{**AREA, "path": "/d/index.html"}])
    assert set(found.values()) == {401}, found


@pytest.mark.parametrize("name", ["_headers.gz", "_redirects.br", "_headers.zst"])
def test_a_packed_rules_file_is_not_served(name: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / name).write_bytes(gzip.compress(b"/*\n  Basic-Auth: ann:pw\n"))
    with bypass.Site.compile(tmp_path) as site:
        assert f"/{name}" not in site
        assert "/_headers" not in site


def test_a_packed_form_of_an_excluded_file_is_excluded(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "draft.html").write_bytes(PAGE)
    (tmp_path / "draft.html.gz").write_bytes(gzip.compress(PAGE))
    found = answers(tmp_path, "/draft.html", "/draft.html.gz", exclude=["/draft.html"])
    assert set(found.values()) == {404}, found


def test_files_that_hold_passwords_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "users.txt").write_text("ann:pw\n")
    (tmp_path / "bypass.toml").write_text('[[site.auth]]\npath = "/in/*"\nusers-file = "users.txt"\n')
    os.link(tmp_path / "users.txt", tmp_path / "linked.txt")
    with bypass.Site.compile(tmp_path, config=tmp_path / "bypass.toml") as site:
        assert "/users.txt" not in site
        assert "/linked.txt" not in site
        assert "/bypass.toml" not in site
        assert "/index.html" in site


@pytest.mark.parametrize("area", ["/in/*", "/in/page.html"])
def test_a_symlink_or_another_name_is_no_way_around_an_area(tmp_path: Path, area: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.html").write_bytes(PAGE)
    (tmp_path / "index.html").write_bytes(b"home")
    (tmp_path / "alias").symlink_to("in")
    (tmp_path / "alias.html").symlink_to("in/page.html")
    os.link(tmp_path / "in" / "page.html", tmp_path / "linked.html")
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / "again").symlink_to("../alias")
    paths = ["/alias/page.html", "/alias.html", "/linked.html", "/zz/again/page.html", "/in/page.html"]
    found = answers(tmp_path, *paths, auth=[{**AREA, "path": area}])
    assert set(found.values()) == {401}, found
    assert answers(tmp_path, "/index.html", auth=[{**AREA, "path": area}]) == {"/index.html": 200}


def test_a_symlink_into_a_hidden_folder_has_the_area_of_that_folder(tmp_path: Path) -> None:
    (tmp_path / ".in").mkdir()
    (tmp_path / ".in" / "page.html").write_bytes(PAGE)
    (tmp_path / "open.html").symlink_to(".in/page.html")
    found = answers(tmp_path, "/open.html", auth=[{**AREA, "path": "/.in/*"}])
    assert found == {"/open.html": 401}


def test_a_symlink_out_of_an_area_of_its_own_asks_for_both(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "page.html").write_bytes(PAGE)
    (tmp_path / "two" / "page.html").symlink_to("../one/page.html")
    auth = [
        {"path": "/one/*", "users": {"ann": "pw"}},
        {"path": "/two/*", "users": {"bob": "pw", "ann": "pw"}},
    ]
    with bypass.Site.compile(tmp_path, settings={"auth": auth}) as site:
        client = Client(site)
        assert client.get("/two/page.html", Authorization="Basic Ym9iOnB3")[0] == 401
        assert client.get("/two/page.html", Authorization=ANN)[0] == 200
        del client


@pytest.mark.parametrize("asked", ["/data/a.json", "/b.json", "/lost", "/data/lost", "/api/a.json"])
def test_who_may_read_is_said_once(tmp_path: Path, asked: str) -> None:
    """Said twice, browsers refuse the answer (Fetch standard 4.9)."""
    (tmp_path / "data").mkdir()
    for name in ("data/a.json", "b.json", "404.html"):
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "_headers").write_text(
        "/*\n  Access-Control-Allow-Origin: *\n  Access-Control-Expose-Headers: ETag\n  X-Other: 1\n"
    )
    (tmp_path / "_redirects").write_text("/api/* /b.json 200\n")
    cors = [{"path": path, "origins": ["https://a.example"]} for path in ("/data/*", "/api/*")]
    settings = {"cors": cors}
    with bypass.Site.compile(tmp_path, settings=settings) as site:
        client = Client(site)
        octets = client.net.connect().ask(
            f"GET {asked} HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n".encode()
        )
        assert octets.count(b"Access-Control-Allow-Origin") == (
            1 if asked.startswith(("/data", "/api")) else 0
        )
        assert octets.count(b"X-Other: 1") == 1
        del client


def test_without_policies_the_rules_for_headers_say_who_may_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "_headers").write_text(
        "/*\n  Access-Control-Allow-Origin: *\n/a*\n  Access-Control-Allow-Origin: https://a.example\n"
    )
    with bypass.Site.compile(tmp_path) as site:
        client = Client(site)
        octets = client.net.connect().ask(b"GET /a.json HTTP/1.1\r\nHost: h\r\n\r\n")
        assert octets.count(b"Access-Control-Allow-Origin") == 1
        assert b"Access-Control-Allow-Origin: https://a.example\r\n" in octets
        del client


def test_no_shared_cache_may_keep_a_page_of_an_area(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "app.3f2a9c1b7d.js").write_bytes(PAGE)
    (tmp_path / "app.3f2a9c1b7d.js").write_bytes(PAGE)
    settings = {
        "immutable": True,
        "auth": [{**AREA, "path": "/in/*"}],
        "cache": [{"path": "/in/index.json", "value": "max-age=5, s-maxage=60"}],
    }
    (tmp_path / "in" / "index.json").write_bytes(b"{}")
    with bypass.Site.compile(tmp_path, settings=settings) as site:
        client = Client(site)
        assert client.get("/app.3f2a9c1b7d.js")[1]["Cache-Control"].startswith("public")
        kept = client.get("/in/app.3f2a9c1b7d.js", Authorization=ANN)[1]["Cache-Control"]
        assert kept == "private, max-age=31536000, immutable"
        assert client.get("/in/index.json", Authorization=ANN)[1]["Cache-Control"] == "private, max-age=5"
        del client


@pytest.mark.parametrize(
    "rule",
    ["/about/ /about 301", "/blog/* /blog 301", "/blog/* /blog 301!", "/a/ /a#x 302", "/a/ /a?b=c 302"],
)
def test_no_rule_leads_to_itself_by_way_of_the_other_slash(rule: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "_redirects").write_text(rule + "\n")
    source, target, _ = rule.split()
    with bypass.Site.compile(tmp_path) as site:
        client = Client(site)
        assert client.get(source.replace("*", "x"))[1]["Location"] == target
        assert client.get(target.partition("#")[0].partition("?")[0])[0] == 404
        del client


def test_a_target_without_a_scheme_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "_redirects").write_text("/x/* //cdn.example/:splat 301\n")
    with pytest.raises(SiteError, match="_redirects:1") as caught:
        bypass.Site.compile(tmp_path)
    assert "https://" in str(caught.value)
