"""The Python interface on a real pair: five lines serve a site."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

import bypass
from bypass.serve.vethpair import VethPair


def test_a_site_is_served_in_five_lines(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"<p>hello")
    with (
        VethPair(isolate_server=True) as pair,
        pair.inside_server(),
        bypass.Site.compile(tmp_path) as site,
    ):
        name, addresses = pair.server.ifname, [str(pair.server.v4), str(pair.server.v6)]
        for _ in range(2):  # and once more: everything was given back
            with bypass.Server(site, interface=name, address=addresses, port=8080) as server:
                assert len(server.urls) == 2
                for url in server.urls:
                    with pair.inside_client(), urllib.request.urlopen(url, timeout=10) as page:
                        assert page.read() == b"<p>hello"
                assert server.counters()["requests"] == 2


@pytest.mark.parametrize("page", ["docs/python-api.md", "README.md"])
def test_the_example_of_a_document_runs_as_written(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the interface and how long it waits are other ones."""
    (match,) = re.findall(r"```python\n(.*?)```", Path(page).read_text(encoding="utf-8"), re.S)
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_bytes(b"<p>hello")
    monkeypatch.chdir(tmp_path)
    with VethPair(isolate_server=True) as pair, pair.inside_server():
        code = match.replace('"eth1"', repr(pair.server.ifname)).replace("wait(60)", "wait(0.1)")
        exec(compile(code.replace("wait()", "wait(0.1)"), page, "exec"), {})
    assert f"http://{pair.server.v4}:8080/" in capsys.readouterr().out
