"""The results: `python -m tests.simulation` prints them, --write puts them into docs/tcp-simulation.md."""

from __future__ import annotations

import argparse

from tests.simulation.page import PAGE, page, table
from tests.simulation.run import run, site
from tests.simulation.scenarios import SCENARIOS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    with site() as (image, sums):
        chosen = [scenario for scenario in SCENARIOS if options.only in scenario.name]
        outcomes = [run(image, scenario, sums[scenario.body_bytes]) for scenario in chosen]
    if options.write:
        PAGE.write_text(page(outcomes), encoding="utf-8")
    else:
        print(table(outcomes))


main()
