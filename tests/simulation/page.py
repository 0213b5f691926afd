"""docs/tcp-simulation.md: the results as a table of integers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.simulation.run import Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs/tcp-simulation.md"
HEAD = """# TCP in simulation

Written by `python -m tests.simulation --write`; a test runs it again and compares. Two engines, the server's
and a client's (`cython_ext/client`), with a simulated link each way between them, in virtual time and from
fixed seeds: the numbers are the same on every machine. A change of this table is a change of the protocol's
behaviour: look at it before you commit it.

The ordinary path sends 100 Mbit/s, takes 10 ms each way, and its queue holds 250,000 octets, as much as is
under way; what is lost, reordered, duplicated or corrupted is so in both directions
(`tests/simulation/scenarios.py`). The client offers SACK, timestamps and a window of 1 MiB, and acknowledges
every second segment.

"""
COLUMNS = (
    "scenario",
    "fetches",
    "octets each",
    "goodput, kbit/s",
    "median, ms",
    "worst, ms",
    "sent again",
    "timeouts",
    "of them in vain",
    "fast",
    "tail probes",
    "Jain, 1/1000",
)


def page(outcomes: Sequence[Outcome]) -> str:
    return HEAD + table(outcomes) + "\n" + FOOT


def table(outcomes: Sequence[Outcome]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(_cells(outcome)) + " |" for outcome in outcomes]
    return "\n".join(lines)


def _cells(outcome: Outcome) -> list[str]:
    counted = outcome.counted
    return [
        outcome.scenario.name,
        str(len(outcome.times_ns)),
        str(outcome.scenario.body_bytes),
        str(outcome.goodput_kbps),
        str(outcome.median_ms),
        str(outcome.worst_ms),
        str(counted["retransmitted"]),
        str(counted["retransmission_timeouts"]),
        str(counted["spurious_timeouts"]),
        str(counted["fast_retransmits"]),
        str(counted["tail_loss_probes"]),
        str(outcome.fairness) if outcome.scenario.flows > 1 else "–",
    ]


FOOT = """
Goodput is octets of bodies per second of each run, from its first SYN to its last octet. "Sent again" and the
columns behind it count segments and events of the server over all fetches of the row. Jain's index is that of
the flows' goodputs: 1000 is perfectly fair.
"""
