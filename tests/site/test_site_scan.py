"""What of a folder becomes part of the site, and what people are told about the rest."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from bypass.errors import ExitCode, SiteError
from bypass.site.scan import Scan, ScanPolicy, scan
from tests.site.support import SiteMaker, ordinary_user


def urls(found: Scan) -> list[bytes]:
    return [asset.url for asset in found.assets]


def test_files_are_listed_by_url_in_the_order_of_their_octets(make_site: SiteMaker) -> None:
    root = make_site({"b.html": b"", "a/z.css": b"12", "a/b/c.js": b"", "a.html": b"", "Z": b""})
    found = scan(root)
    assert urls(found) == [b"/Z", b"/a.html", b"/a/b/c.js", b"/a/z.css", b"/b.html"]
    assert found.assets[3].size == 2
    assert found.skipped.total == 0


def test_hidden_names_are_left_out_and_counted_but_well_known_is_served(make_site: SiteMaker) -> None:
    root = make_site(
        {
            "index.html": b"",
            ".htpasswd": b"secret",
            ".git/config": b"secret",
            ".well-known/security.txt": b"",
            ".well-known/.hidden": b"",
        }
    )
    found = scan(root)
    assert urls(found) == [b"/.well-known/security.txt", b"/index.html"]
    assert found.skipped.hidden == 3
    assert found.skipped.messages() == ["3 hidden (the name starts with a dot)"]


def test_symlinks_inside_the_root_are_followed(make_site: SiteMaker) -> None:
    root = make_site({"real/page.html": b"page", "..data/config.json": b"{}"})
    (root / "link.html").symlink_to("real/page.html")
    (root / "folder").symlink_to("real")
    (root / "config.json").symlink_to("..data/config.json")
    found = scan(root)
    assert urls(found) == [b"/config.json", b"/folder/page.html", b"/link.html", b"/real/page.html"]
    assert found.skipped.hidden == 1


@pytest.mark.parametrize(
    "target", ["../secret.txt", "/etc/hostname", "..", "../site-2/file", "inner/../../secret.txt"]
)
def test_symlinks_that_leave_the_root_are_left_out_and_counted(make_site: SiteMaker, target: str) -> None:
    root = make_site({"index.html": b"", "inner/a": b""})
    (root.parent / "secret.txt").write_bytes(b"secret")
    (root.parent / "site-2").mkdir()  # shares the root's name as a prefix
    (root.parent / "site-2/file").write_bytes(b"secret")
    (root / "leak").symlink_to(target)
    found = scan(root)
    assert urls(found) == [b"/index.html", b"/inner/a"]
    assert found.skipped.symlinks_outside == 1
    assert "lead out of the document root" in found.skipped.messages()[0]


def test_a_symlink_outside_that_points_back_inside_is_judged_by_where_it_ends(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b"same"})
    (root.parent / "detour").symlink_to(root / "index.html")
    (root / "copy.html").symlink_to("../detour")
    assert urls(scan(root)) == [b"/copy.html", b"/index.html"]


def test_broken_symlinks_and_loops_are_left_out_and_counted(make_site: SiteMaker) -> None:
    root = make_site({"a/index.html": b""})
    (root / "broken").symlink_to("nowhere")
    (root / "ping").symlink_to("pong")
    (root / "pong").symlink_to("ping")
    (root / "a/up").symlink_to("..")
    (root / "a/self").symlink_to(".")
    found = scan(root)
    assert urls(found) == [b"/a/index.html"]
    assert (found.skipped.symlinks_broken, found.skipped.symlink_loops) == (3, 2)


def test_the_root_itself_may_be_a_symlink(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b"", "sub/page": b""})
    (root / "again.html").symlink_to("index.html")
    (root.parent / "current").symlink_to(root)
    assert urls(scan(root.parent / "current")) == [b"/again.html", b"/index.html", b"/sub/page"]


def test_special_files_are_left_out_and_counted(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b""})
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket"))
        (root / "null").symlink_to("pipe")
        found = scan(root)
    assert urls(found) == [b"/index.html"]
    assert found.skipped.special == 3


def test_names_that_are_not_utf8_are_kept_as_octets(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b""})
    name = b"caf\xe9 \x01%41\\.txt"
    with open(os.path.join(os.fsencode(root), name), "wb"):
        pass
    assert urls(scan(root)) == [b"/" + name, b"/index.html"]


def test_a_missing_root_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="nowhere: no such folder") as caught:
        scan(tmp_path / "nowhere")
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.remedy


def test_a_file_as_root_is_an_error(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b""})
    with pytest.raises(SiteError, match=r"index\.html: not a folder"):
        scan(root / "index.html")


def test_an_empty_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no file to serve: the folder is empty"):
        scan(tmp_path)


def test_a_root_of_hidden_files_only_says_so(make_site: SiteMaker) -> None:
    with pytest.raises(SiteError, match="no file to serve: 1 hidden"):
        scan(make_site({".env": b""}))


def test_an_unreadable_folder_is_an_error_with_the_remedy(public_tmp: Path) -> None:
    (public_tmp / "index.html").write_bytes(b"")
    (public_tmp / "closed").mkdir(mode=0)
    with (
        ordinary_user(),
        pytest.raises(SiteError, match="closed: cannot be read: Permission denied") as caught,
    ):
        scan(public_tmp)
    assert "chmod" in caught.value.remedy


def test_a_file_that_vanishes_between_listing_and_looking_is_an_error(
    make_site: SiteMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_site({"stays.html": b""})

    class Ghost:
        name = b"ghost.html"
        path = os.fsencode(root / "ghost.html")

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            return os.stat(self.path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr("bypass.site.scan.folder_entries", lambda _: None)  # what it says when one is missing
    monkeypatch.setattr(os, "scandir", lambda _: nullcontext([Ghost()]))
    with pytest.raises(SiteError, match=r"ghost\.html: vanished"):
        scan(root)


def test_hidden_names_can_be_served_or_left_out_altogether(make_site: SiteMaker) -> None:
    root = make_site({"a": b"", ".b/c": b"", ".well-known/d": b""})
    assert urls(scan(root, policy=ScanPolicy(hidden="serve"))) == [b"/.b/c", b"/.well-known/d", b"/a"]
    assert urls(scan(root, policy=ScanPolicy(hidden="none"))) == [b"/a"]


def test_symlinks_can_be_followed_anywhere_or_left_out(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"a": b""})
    (tmp_path / "outside").write_bytes(b"x")
    (root / "b").symlink_to(tmp_path / "outside")
    (root / "c").symlink_to("a")
    assert urls(scan(root, policy=ScanPolicy(symlinks="follow"))) == [b"/a", b"/b", b"/c"]
    none = scan(root, policy=ScanPolicy(symlinks="none"))
    assert urls(none) == [b"/a"]
    assert none.skipped.symlinks_refused == 2


def test_names_of_rules_files_and_excluded_paths_are_not_served(make_site: SiteMaker) -> None:
    root = make_site({"_headers": b"", "sub/_headers": b"", "a": b"", "drafts/b": b"", "c.psd": b""})

    def leave_out(url: bytes) -> bool:
        return url.startswith(b"/drafts/") or url.endswith(b".psd")

    found = scan(root, policy=ScanPolicy(names=frozenset({b"_headers"}), leave_out=leave_out))
    assert urls(found) == [b"/a", b"/sub/_headers"]
    assert found.skipped.excluded == 2
