"""Runs wrk in the client's namespace and reads what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bypass.errors import BypassError, UnavailableError
from bypass.serve.vethpair import VethPair

_UNIT_US = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True, slots=True)
class Load:
    """One run. `errors`: socket errors and answers that are no 2xx or 3xx."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    requests: int
    errors: int


def run_wrk(pair: VethPair, url: str, *, connections: int, seconds: int, cpu: int) -> Load:
    """One thread on one CPU; a run that hangs is ended."""
    command = ["taskset", "-c", str(cpu), "timeout", str(seconds + 20), "wrk"]
    command += ["-t1", f"-c{connections}", f"-d{seconds}", "--latency", url]
    done = pair.run(command)
    if done.returncode == 127:
        raise UnavailableError("wrk: not found", remedy="Install the package wrk")
    if done.returncode != 0:
        raise BypassError(f"wrk failed on {url}", why=(done.stderr or done.stdout).strip()[-300:])
    return parse(done.stdout)


def parse(text: str) -> Load:
    """The report of wrk 4 with --latency."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    total = re.search(r"(\d+) requests in", text)
    if rate is None or total is None:
        raise BypassError("wrk said nothing of a rate", why=text.strip()[-300:])
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    answers = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = sum(map(int, sockets.groups())) if sockets else 0
    return Load(
        requests_per_s=float(rate[1]),
        p50_us=_percentile_us(text, 50),
        p99_us=_percentile_us(text, 99),
        requests=int(total[1]),
        errors=errors + (int(answers[1]) if answers else 0),
    )


def _percentile_us(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)", text, re.MULTILINE)
    return float(found[1]) * _UNIT_US[found[2]] if found else float("nan")
