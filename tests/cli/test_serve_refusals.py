"""What `bypass serve` says when it cannot serve. Nothing here changes the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import NOBODY, Command


@pytest.fixture
def site(tmp_path: Path) -> str:
    (tmp_path / "index.html").write_text("<p>hello")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    return str(tmp_path)


@pytest.mark.parametrize("name", ["absent", "absent" * 99], ids=["absent", "too-long"])
def test_a_missing_site_is_a_configuration_error(bypass: Command, tmp_path: Path, name: str) -> None:
    done = bypass("serve", str(tmp_path / name), "-i", "lo")
    assert done.exit_code == 78
    assert "absent" in done.err


def test_a_missing_interface_is_unavailable(bypass: Command, site: str) -> None:
    done = bypass("serve", site, "-i", "absent0")
    assert done.exit_code == 69
    assert "absent0: no such interface" in done.err


def test_loopback_is_no_ethernet_interface(bypass: Command, site: str) -> None:
    done = bypass("serve", site, "-i", "lo")
    assert done.exit_code == 69
    assert "not an Ethernet interface" in done.err


def test_a_wrong_configuration_file_is_named(bypass: Command, site: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[serve]\nprot = 80\n")
    done = bypass("serve", site, "-i", "lo", "--config", str(file))
    assert done.exit_code == 78
    assert "Did you mean 'port'?" in done.err


def test_site_and_interface_may_come_from_the_environment(
    bypass: Command, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYPASS_SITE", site)
    monkeypatch.setenv("BYPASS_INTERFACE", "absent0")
    assert bypass("serve").exit_code == 69


def test_quiet_still_shows_the_error(bypass: Command, site: str) -> None:
    assert "absent0" in bypass("-q", "serve", site, "-i", "absent0").err


def test_nobody_is_told_which_privileges_are_missing(bypass_process: Command, site: str, link: str) -> None:
    done = bypass_process("serve", site, "-i", link, user=NOBODY)
    assert done.exit_code == 77
    assert "CAP_NET_ADMIN" in done.err
    assert "sudo bypass serve" in done.err


def test_an_interface_that_is_down_says_how_to_bring_it_up(
    bypass: Command, site: str, down_link: str
) -> None:
    done = bypass("serve", site, "-i", down_link)
    assert done.exit_code == 69
    assert f"ip link set {down_link} up" in done.err
