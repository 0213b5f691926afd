"""The committed results are those that the engines have now; and they are what TCP should come to."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest

from bypass.site.image import SiteImage
from tests.simulation.page import PAGE, page
from tests.simulation.run import Outcome, run, simulate, site
from tests.simulation.scenarios import SCENARIOS, Scenario

Sites = tuple[SiteImage, dict[int, int]]


@pytest.fixture(scope="module")
def served() -> Iterator[Sites]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def outcomes(served: Sites) -> dict[str, Outcome]:
    """Of every scenario; each body is checked on the way."""
    image, sums = served
    return {scenario.name: run(image, scenario, sums[scenario.body_bytes]) for scenario in SCENARIOS}


@pytest.mark.slow
def test_the_committed_table_is_what_the_engines_do(outcomes: dict[str, Outcome]) -> None:
    now, written = page(list(outcomes.values())), PAGE.read_text(encoding="utf-8")
    diff = "\n".join(difflib.unified_diff(written.splitlines(), now.splitlines(), "committed", "now", n=0))
    assert not diff, f"TCP behaves otherwise; if that is meant: python -m tests.simulation --write\n{diff}"


def test_every_seed_gives_the_same_run_again(served: Sites) -> None:
    image, _ = served
    scenario = next(one for one in SCENARIOS if one.name == "all at once")
    times = set()
    for seed in (1, 1, 2):
        simulation = simulate(image, scenario, seed)
        times.add((simulation.run(1, 10**12), simulation.turns, str(simulation.links())))
    assert len(times) == 2


def test_what_is_said_to_go_wrong_does_go_wrong(outcomes: dict[str, Outcome]) -> None:
    """A link that impairs nothing would prove nothing."""
    for name, counts in (
        ("1 % lost", ["lost"]),
        ("lost in bursts", ["lost"]),
        ("shallow queue", ["overflowed"]),
        ("marked (ECN)", ["marked"]),
        ("large packets vanish", ["too_large"]),
        ("reordered", ["reordered"]),
        ("duplicated", ["duplicated"]),
        ("corrupted", ["corrupted"]),
        ("all at once", ["lost", "reordered", "duplicated", "corrupted"]),
        ("100 share", ["overflowed"]),
    ):
        links = outcomes[name].links
        assert all(links[f"to_client {count}"] > 0 for count in counts), f"{name}: {links}"
    lost = outcomes["5 % lost"].links
    assert 0.04 < lost["to_client lost"] / lost["to_client frames"] < 0.06
    assert 0.04 < lost["to_server lost"] / lost["to_server frames"] < 0.06
    assert outcomes["corrupted"].counted["drop_tcp_checksum"] > 0


def test_goodput_and_fairness_are_decent(outcomes: dict[str, Outcome]) -> None:
    """Bounds that do not depend on details; details are the table's."""
    assert outcomes["next door"].goodput_kbps > 900_000
    assert outcomes["bufferbloat"].goodput_kbps > 9_000
    assert outcomes["clean"].counted["retransmission_timeouts"] == 0
    assert outcomes["duplicated"].counted["retransmission_timeouts"] == 0
    assert outcomes["reordered"].counted["retransmission_timeouts"] == 0
    assert outcomes["marked (ECN)"].counted["ecn_reductions"] > 0
    assert outcomes["large packets vanish"].counted["black_holes"] == 3
    for name in ("100 share", "100 share, NewReno"):
        assert outcomes[name].fairness > 900 and outcomes[name].goodput_kbps > 85_000


def test_a_run_that_does_not_end_is_an_error(served: Sites) -> None:
    image, _ = served
    simulation = simulate(image, Scenario("deaf", body_bytes=1_000_000, both={"loss_ppm": 1_000_000}), 1)
    with pytest.raises(RuntimeError, match="the time limit came before the end"):
        simulation.run(1, 10**10)
