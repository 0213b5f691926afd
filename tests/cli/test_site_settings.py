"""The tables [site] and [[host]]: what is refused, with line, key and value, and what the sample says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from bypass.config import resolve
from bypass.errors import ConfigError
from bypass.site.rules.settings import TABLES, HostSettings, SiteSettings
from bypass.site.rules.tables import read_site_tables


def _settings(text: str) -> SiteSettings:
    config, flaws = read_site_tables(tomllib.loads(text), Path())
    assert flaws == []
    return config.site


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[site]\nlistnig = true\n", 2, ["site.listnig = True", "Did you mean 'listing'?"]),
        ("[site]\nlisting = 3\n", 2, ["site.listing = 3", "true or false"]),
        ("[site]\nindex = 'a'\n", 2, ["site.index = 'a'", "a list"]),
        ("[site]\nindex = ['a/b']\n", 2, ["site.index[0] = 'a/b'", "without a slash"]),
        ("[site]\nhidden = 'x'\n", 2, ["site.hidden = 'x'", "well-known, serve or none"]),
        ("[site]\nspa = 'x'\n", 2, ["site.spa = 'x'", "such as /404.html"]),
        ("[site]\ntypes = {'.x' = 'foo'}\n", 2, ["site.types", "media type"]),
        ("[site]\ndialect = 'apache'\n", 2, ["netlify or cloudflare"]),
        ("[site]\nexclude = ['x']\n", 2, ["site.exclude[0] = 'x'"]),
        ("[site]\n\n[site.error-pages]\n40 = '/x.html'\n", 4, ["site.error-pages.40", "from 400 to 599"]),
        ("[[site.cors]]\nmax-age = 99999999\n", 2, ["site.cors[0].max-age = 99999999", "86400"]),
        ("[[site.cors]]\n[[site.cors]]\nmaxage = 9\n", 3, ["site.cors[1].maxage", "Did you mean 'max-age'?"]),
        ("[[site.cors]]\npath = '/a*'\n", 2, ["an area is a folder"]),
        ("[[site.cache]]\npath = '/x'\n", 1, ["site.cache[0]", "value is missing"]),
        ("[[site.cache]]\npath = '/%'\nvalue = 'x'\n", 2, ["site.cache[0].path", "hexadecimal"]),
        ("[[site.redirect]]\nfrom = '/a'\nto = '/a'\n", 2, ["site.redirect[0].from", "leads to itself"]),
        ("[[site.redirect]]\nfrom = '/a'\nto = '/b'\nstatus = 200\n", 4, ["one of 301, 302"]),
        ("[[site.rewrite]]\nfrom = '/a'\nto = 'https://x/'\n", 2, ["another server"]),
        ("[[site.header]]\npath = '/*'\nset = { Date = 'x' }\n", 3, ["Date cannot be set"]),
        ("[[site.auth]]\npath = '/a/*'\n", 1, ["no user is named"]),
        ("[site.compression]\ncodings = ['deflate']\n", 2, ['"br", "zstd" and "gzip"']),
        ("[site.compression]\nminimum-gain = 2\n", 2, ["a share from 0 to 0.99"]),
        ("[[host]]\nnames = ['a']\n", 1, ["host[0].root", "missing"]),
        ("[[host]]\nnames = ['exa mple']\nroot = 'x'\n", 2, ["host[0].names[0] = 'exa mple'", "example.org"]),
        ("[[host]]\nnames = []\nroot = 'x'\n", 2, ["host[0].names", "at least one"]),
        (
            "[[host]]\nnames = ['a']\nroot = 'x'\n[[host]]\nnames = ['b', 'A']\nroot = 'y'\n",
            5,
            ["host[1].names[1] = 'A'", "host[0] has that name"],
        ),
        (
            "[[host]]\nnames=['a']\nroot='x'\ndefault=true\n[[host]]\nnames=['b']\nroot='y'\ndefault=true\n",
            8,
            ["host[1].default", "host[0] is the default"],
        ),
        ("site = 3\n", 1, ["site = 3", "must be a table"]),
        ("host = 3\n", 1, ["host = 3", "[[host]]"]),
    ],
)
def test_a_mistake_is_named_with_line_key_and_value(
    tmp_path: Path, text: str, line: int, words: list[str]
) -> None:
    file = tmp_path / "bypass.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve({}, {}, file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    for word in words:
        assert word in str(caught.value)


def test_no_password_stands_in_a_message(tmp_path: Path) -> None:
    file = tmp_path / "bypass.toml"
    for text in (
        "[[site.auth]]\nusers = { ann = 'hunter2' }\n",
        "[[site.auth]]\npath = '/'\nusers = { 'a:b' = 'hunter2' }\n",
        "[[site.auth]]\npath = '/'\nusers = { ann = 'hunter2', bob = 7 }\n",
        "[[site.auth]]\npath = '/'\npasswords = { ann = 'hunter2' }\nusers = { ann = 'x' }\n",
    ):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            resolve({}, {}, file)
        assert "hunter2" not in str(caught.value)


def test_a_host_has_what_site_says_and_overrides_it() -> None:
    text = """
[site]
listing = true
exclude = ["/a/*"]
[[host]]
names = ["Example.org"]
root = "x"
exclude = ["/b/*"]
[[host]]
names = ["*.example.org", "::1"]
root = "y"
listing = false
"""
    config, flaws = read_site_tables(tomllib.loads(text), Path("/etc"))
    assert flaws == []
    assert [host.listing for host in config.hosts] == [True, False]
    assert [host.exclude for host in config.hosts] == [("/b/*",), ("/a/*",)]
    assert config.folder == Path("/etc")


def test_the_sample_file_names_every_setting_with_its_default(root: Path) -> None:
    sample = (root / "config" / "bypass.toml").read_text().partition("\n[site]\n")[2]
    site, _, rest = sample.partition("\n[site.compression]\n")
    compression, _, examples = rest.partition("# [[site.redirect]]")
    assert _settings(_uncommented(site)) == SiteSettings()
    assert _settings("[site.compression]\n" + _uncommented(compression)) == SiteSettings()
    for text, kind in ((site, SiteSettings), (compression, TABLES["compression"])):
        named = set(tomllib.loads(_uncommented(text)))
        known = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert named == known - set(TABLES)
    document = tomllib.loads(_uncommented("# [[site.redirect]]" + examples))
    for name, table in document["site"].items():
        known = {field.encode_name for field in msgspec.structs.fields(TABLES[name])}
        assert set(table[0]) == known
    _, flaws = read_site_tables(document, Path())
    assert flaws == []
    own = {field.encode_name for field in msgspec.structs.fields(HostSettings)}
    assert set(document["host"][0]) == own - {
        field.encode_name for field in msgspec.structs.fields(SiteSettings)
    }


def _uncommented(text: str) -> str:
    """The lines that are TOML behind a comment sign."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if re.match(r"[a-z-]+ = |\[\[", line))
