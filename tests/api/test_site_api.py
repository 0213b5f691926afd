"""bypass.Site: a mapping of URL paths to what answers them."""

from __future__ import annotations

from pathlib import Path

import pytest

import bypass
from bypass.errors import ConfigError, SiteError
from bypass.site.output import build_image_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_bytes(b"<p>hello")
    (root / "a b.txt").write_bytes(b"words")
    return root


def test_a_folder_is_compiled_and_read_as_a_mapping(folder: Path) -> None:
    with bypass.Site.compile(folder) as site:
        assert set(site) == {"/", "/index.html", "/a b.txt"}
        assert len(site) == 3
        assert site.files == 2
        assert site.image_bytes > 0
        assert site["/"].status == 200
        assert bytes(site["/a b.txt"].body) == b"words"
        assert "/none" not in site
        with pytest.raises(KeyError):
            site["/none"]


def test_a_name_that_is_no_utf8_is_found_again(folder: Path) -> None:
    (folder / "caf\udce9").write_bytes(b"latin")
    with bypass.Site.compile(folder) as site:
        assert "/caf\udce9" in set(site)
        assert bytes(site["/caf\udce9"].body) == b"latin"


def test_progress_is_told_up_to_the_end(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    with bypass.Site.compile(folder, progress=lambda done, total: seen.append((done, total))):
        pass
    assert seen[-1][0] == seen[-1][1] > 0


def test_an_image_is_opened_and_holds_the_same(folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "site.img"
    build_image_file(folder, image)
    with bypass.Site.open(image) as site:
        image.write_bytes(b"")  # the copy does not mind
        assert bytes(site["/"].body) == b"<p>hello"


def test_open_refuses_what_is_no_image(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"not an image" * 100)
    for wrong in (text, folder, tmp_path / "missing"):
        with pytest.raises(SiteError, match=wrong.name):
            bypass.Site.open(wrong)


def test_too_large_a_site_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(SiteError, match="allowed are"):
        bypass.Site.compile(folder, max_bytes=100)


def test_names_that_do_not_exist_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Sites"):
        bypass.Sites  # noqa: B018
    assert {"Site", "Server"} <= set(dir(bypass))


def test_settings_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "about.html").write_bytes(b"about")
    with bypass.Site.compile(tmp_path, settings={"clean-urls": True}) as site:
        assert bytes(site["/about"].body) == b"about"
    (tmp_path / "bypass.toml").write_text("[site]\nclean-urls = true\n")
    with bypass.Site.compile(tmp_path, config=tmp_path / "bypass.toml") as site:
        assert "/about" in site


def test_a_wrong_setting_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"x")
    with pytest.raises(
        ConfigError, match=r"site\.clean-url = True: no such setting. Did you mean 'clean-urls'"
    ):
        bypass.Site.compile(tmp_path, settings={"clean-url": True})
    with pytest.raises(ConfigError, match="both are given"):
        bypass.Site.compile(tmp_path, settings={"spa": "/x"}, config="x.toml")
    with pytest.raises(SiteError, match="no site is named"):
        bypass.Site.compile()


def test_hosts_can_be_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"x")
    host = {"names": ["example.org"], "root": str(tmp_path), "default": True}
    with bypass.Site.compile(hosts=[host]) as site:
        assert site.files == 1
