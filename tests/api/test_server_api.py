"""bypass.Server without a kernel: its options, its life, its errors."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Any

import pytest

import bypass
from bypass import api
from bypass.errors import ConfigError, SiteError, UnavailableError
from tests.serve.conftest import Boom, FakeParts, plan_for


@pytest.fixture
def fake() -> FakeParts:
    return FakeParts()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeParts) -> bypass.Site:
    """A site; the machine has a suitable interface, and the parts take any image."""
    (tmp_path / "index.html").write_bytes(b"<p>hello")
    monkeypatch.setattr(api, "prepare", lambda options, _: plan_for(port=options.port))
    fake.any_image = True
    return bypass.Site.compile(tmp_path)


def server_of(site: bypass.Site, fake: FakeParts, **options: Any) -> bypass.Server:
    return bypass.Server(site, interface="eth7", parts=fake.parts(), **options)


def test_it_serves_from_entry_to_exit(site: bypass.Site, fake: FakeParts) -> None:
    server = server_of(site, fake, port=8080)
    assert not server.running
    with server as entered:
        assert entered is server
        assert server.running
        assert server.urls == ("http://10.0.0.1:8080/", "http://[fe80::1]:8080/")
        assert server.mode == "native"
        assert not server.zero_copy
        assert server.open_connections == 0
        assert server.counters() == fake.counters()
        server.wait(0.01)
    assert not server.running
    assert fake.draining
    assert fake.log[-1] == "give up"


def test_an_exception_is_not_held_up_by_draining(site: bypass.Site, fake: FakeParts) -> None:
    fake.connections = 3
    with pytest.raises(KeyError), server_of(site, fake, drain_timeout=60):
        raise KeyError
    assert not fake.draining
    assert fake.log[-1] == "give up"


def test_draining_ends_with_its_timeout(site: bypass.Site, fake: FakeParts) -> None:
    fake.connections = 3
    with server_of(site, fake, drain_timeout="50ms"):
        pass
    assert fake.draining


def test_a_failed_start_leaves_nothing_and_can_be_tried_again(site: bypass.Site, fake: FakeParts) -> None:
    fake.fail_at = "engine"
    server = server_of(site, fake)
    with pytest.raises(Boom), server:
        pass
    assert fake.log[-1] == "give up"
    fake.fail_at = ""
    fake.stopped.clear()
    with server:
        assert server.running


def test_a_dead_worker_is_told_by_wait(site: bypass.Site, fake: FakeParts) -> None:
    fake.engine_status = -errno.ENETDOWN
    with pytest.raises(UnavailableError, match="went away or down"), server_of(site, fake) as server:
        server.wait(5)


def test_what_is_asked_of_a_server_that_does_not_run(site: bypass.Site, fake: FakeParts) -> None:
    server = server_of(site, fake)
    with pytest.raises(RuntimeError, match="enter it"):
        server.counters()
    with server, pytest.raises(RuntimeError, match="already"), server:
        pass


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"prot": 80}, TypeError, "Did you mean 'port'"),
        ({"nonsense": 1}, TypeError, "no option 'nonsense'$"),
        ({"port": 70000}, ConfigError, "1 to 65535"),
        ({"address": ["nonsense"]}, ConfigError, "addresses"),
        ({"idle_timeout": "soon"}, ConfigError, "a time such as"),
    ],
)
def test_wrong_options_are_told_at_once(
    site: bypass.Site, fake: FakeParts, options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        server_of(site, fake, **options)


def test_options_may_be_python_values(site: bypass.Site, fake: FakeParts) -> None:
    server = server_of(site, fake, address=["192.0.2.1"], queue=[0, 1], idle_timeout=1.5, poll="latency")
    assert server.options.address == ("192.0.2.1",)
    assert server.options.queue == (0, 1)
    assert server.options.idle_timeout == 1.5


def test_notices_go_to_the_logger(
    site: bypass.Site, fake: FakeParts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "warnings", lambda plan: ["eth7 has no link: is the cable in?"])
    with caplog.at_level(logging.WARNING, "bypass"), server_of(site, fake):
        pass
    assert "no link" in caplog.text


def test_a_missing_folder_is_told_before_anything_is_changed(fake: FakeParts) -> None:
    with (
        pytest.raises(SiteError, match="no such folder"),
        bypass.Server("/nonexistent/site", interface="lo", parts=fake.parts()),
    ):
        pass
    assert fake.log == []


def test_another_site_is_served_meanwhile(site: bypass.Site, fake: FakeParts, tmp_path: Path) -> None:
    (tmp_path / "more.html").write_bytes(b"<p>more")
    with server_of(site, fake) as server:
        server.reload(tmp_path)
        assert len(fake.offered) == 1
        assert b"<p>more" in fake.offered[0]
        server.reload(site)
        assert b"<p>more" not in fake.offered[1]
        with pytest.raises(SiteError):
            server.reload(tmp_path / "absent")
        assert len(fake.offered) == 2
    with pytest.raises(RuntimeError, match="not running"):
        server.reload(site)


def test_sites_served_before_are_let_go_of(site: bypass.Site, fake: FakeParts) -> None:
    """With the files that they hold open: until then the space of deleted ones is not free."""
    with server_of(site, fake) as server:
        server.reload(site)
        after_reload = fake.looked
        assert after_reload
        server.wait(0.01)
        assert fake.looked > after_reload


def test_a_function_is_given_the_access_log(site: bypass.Site, fake: FakeParts) -> None:
    fake.log_lines = b"one\ntwo\n"
    lines: list[bytes] = []
    with server_of(site, fake, access_log=lines.append, log_format="common"):
        pass
    assert b"".join(lines) == b"one\ntwo\n"


def test_a_path_is_where_the_access_log_goes(site: bypass.Site, fake: FakeParts, tmp_path: Path) -> None:
    fake.log_lines = b"one\n"
    options = bypass.Server(site, interface="eth7", access_log=tmp_path / "a.log").options
    assert options.access_log == str(tmp_path / "a.log")
    with pytest.raises(ConfigError, match="log"):
        server_of(site, fake, access_log=print, log_format="$nothing")
