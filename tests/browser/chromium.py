"""A headless Chromium in a network namespace, driven over a pipe (DevTools protocol): no driver, no port."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bypass.serve.vethpair import VethPair

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root, in a namespace of the test's own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1280,900",
    "--remote-debugging-pipe",
)
_ANSWER_S = 60.0


@dataclass(slots=True)
class Visit:
    """One page: what went wrong with it, and what it was made of."""

    url: str
    errors: list[str] = field(default_factory=list)
    loaded: dict[str, int] = field(default_factory=dict)


class Chromium:
    """One page of one browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        return self._ask(method, session=self._session, **parameters)

    def visit(self, url: str) -> Visit:
        """Loads the page and waits until the network is quiet."""
        visit = Visit(url)
        self._events.clear()
        self.ask("Page.navigate", url=url)
        self._wait(lambda event: event.get("method") == "Page.loadEventFired")
        self._settle()
        for event in self._events:
            _judge(visit, event.get("method", ""), event.get("params", {}))
        return visit

    def evaluate(self, expression: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def _settle(self, quiet_s: float = 0.7) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._read(quiet_s):
            pass

    def _ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda event: event.get("id") == number)
        assert "error" not in answer, answer["error"]
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    def _wait(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            for number, event in enumerate(self._events):
                if wanted(event):
                    return self._events.pop(number) if "id" in event else event
            self._read(1.0)
        raise TimeoutError("the browser does not answer")

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._in], [], [], timeout_s)[0]:
            return False
        data = os.read(self._in, 1 << 20)
        if not data:
            raise ConnectionError("the browser is gone")
        *whole, self._buffer = (self._buffer + data).split(b"\0")
        self._events += [json.loads(message) for message in whole]
        return True


def _judge(visit: Visit, method: str, about: dict[str, Any]) -> None:
    if method == "Runtime.exceptionThrown":
        visit.errors.append(str(about["exceptionDetails"]))
    elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
        visit.errors.append(str(about["args"]))
    elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
        visit.errors.append(f"{about['entry'].get('url')}: {about['entry']['text']}")
    elif method == "Network.loadingFailed" and not about.get("canceled"):
        visit.errors.append(f"loading failed: {about['errorText']}")
    elif method == "Network.responseReceived":
        visit.loaded[about["response"]["url"]] = about["response"]["status"]


def find_chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is missing: config/setup.sh --test installs it"
    return found


@contextmanager
def chromium(pair: VethPair, flags: Sequence[str] = ()) -> Iterator[Chromium]:
    """A browser in the client's namespace; gone, with everything it wrote, afterwards."""
    browser_in, to_browser = os.pipe()
    from_browser, browser_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        program = [find_chromium(), *_FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
        # The protocol's pipes are descriptors 3 and 4.
        moved = ["bash", "-c", f'exec "$@" 3<&{browser_in} 4>&{browser_out}', "browser", *program]
        process = subprocess.Popen(
            pair.command(moved),
            pass_fds=(browser_in, browser_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        )
        os.close(browser_in)
        os.close(browser_out)
        try:
            yield Chromium(to_browser, from_browser)
        finally:
            os.close(to_browser)  # the browser ends when its pipe does
            os.close(from_browser)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
