"""`concordat bench NAME`: figures beside their references, exit 7 when a committed one is missed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence

from concordat_client.bench.errors import BenchUnknown
from concordat_client.bench.figures import Figure, exit_of, table, to_json

Measure = Callable[[bool], Sequence[Figure]]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    bench = subparsers.add_parser("bench", help="measure what is committed to, beside its references")
    bench.add_argument("name", metavar="NAME", help=f"what to measure: {', '.join(MEASUREMENTS)}")
    bench.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    bench.add_argument("--quick", action="store_true", help="measure almost nothing, to see that it runs")
    bench.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print. Raises: BenchUnknown, and what the measurement raises."""
    measure = MEASUREMENTS.get(arguments.name)
    if measure is None:
        raise BenchUnknown(name=arguments.name, known=", ".join(MEASUREMENTS))
    return told(measure(arguments.quick), is_json=arguments.json)


def told(figures: Sequence[Figure], *, is_json: bool) -> int:
    """Print the figures and return the exit code that they deserve."""
    print(json.dumps(to_json(figures)) if is_json else table(figures))
    return exit_of(figures)


def _coordinator(is_quick: bool) -> Sequence[Figure]:
    from concordat_client.bench.coordinator import FULL, QUICK, measure

    if is_quick:
        _say("quick: these figures say nothing but that the measurement runs")
    return measure(QUICK if is_quick else FULL, _say)


def _trust(is_quick: bool) -> Sequence[Figure]:
    from concordat_client.bench.trust import FULL, QUICK, measure

    if is_quick:
        _say("quick: these figures say nothing but that the measurement runs")
    return measure(QUICK if is_quick else FULL, _say)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


MEASUREMENTS: Mapping[str, Measure] = {"coordinator": _coordinator, "trust": _trust}
