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


def examples() -> list[tuple[str, str]]:
    """Page and code of every one."""
    return [
        (page, code)
        for page in ("docs/python-api.md", "README.md")
        for code in re.findall(r"```python\n(.*?)```", Path(page).read_text(encoding="utf-8"), re.S)
    ]


@pytest.mark.parametrize(("page", "code"), examples())
def test_the_examples_of_the_documents_run_as_written(
    page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the interface and how long it waits are other ones; meanwhile somebody asks for a page."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_bytes(b"<p>hello")
    monkeypatch.chdir(tmp_path)
    with VethPair(isolate_server=True) as pair, pair.inside_server():

        def ask_meanwhile(server: bypass.Server, timeout_s: float | None = None) -> None:
            with pair.inside_client(), urllib.request.urlopen(server.urls[0], timeout=10) as answer:
                assert answer.read() == b"<p>hello"

        monkeypatch.setattr(bypass.Server, "wait", ask_meanwhile)
        exec(compile(code.replace('"eth1"', repr(pair.server.ifname)), page, "exec"), {})
    said = capsys.readouterr().out
    assert f"http://{pair.server.v4}:8080/" in said or said == "1 requests\n"
