"""The mutants of the trust package: what is made of a module, and that the list of equivalent ones is up to date."""

from __future__ import annotations

import ast

import pytest
from ast_mutants import mutants_of
from mutant_runner import ROOT, Guarded
from mutate_trust import findings, read_plan

SOURCE = '''"""A module."""

from __future__ import annotations

LIMIT = 3


class Refused(Exception):
    sentence = "for people"


class Box:
    size: int = 2

    def fits(self, count: int, names: list[str]) -> bool:
        """Say whether it fits."""
        if count > LIMIT and not names:
            raise Refused("too many of them")
        return count <= self.size
'''
MADE = mutants_of(SOURCE, "box")
NAMES = [mutant.name for mutant in MADE]


def test_every_small_change_is_made_once_and_named_by_its_place() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) == {
        "box:<module>: 3 -> 4",
        "box:<module>: 3 -> 2",
        "box:<module>: 2 -> 3",
        "box:<module>: 2 -> 1",
        "box:Box.fits: if count > LIMIT and (not names) -> not (count > LIMIT and (not names))",
        "box:Box.fits: count > LIMIT and (not names) -> count > LIMIT or not names",
        "box:Box.fits: count > LIMIT and (not names) -> not names",
        "box:Box.fits: count > LIMIT and (not names) -> count > LIMIT",
        "box:Box.fits: count > LIMIT -> count >= LIMIT",
        "box:Box.fits: count > LIMIT -> count <= LIMIT",
        "box:Box.fits: not names -> names",
        "box:Box.fits: raise Refused('too many of them') -> pass",
        "box:Box.fits: return count <= self.size -> return None",
        "box:Box.fits: count <= self.size -> count < self.size",
        "box:Box.fits: count <= self.size -> count > self.size",
    }


@pytest.mark.parametrize("mutant", MADE, ids=NAMES)
def test_a_mutant_is_a_program_that_differs(mutant: object) -> None:
    found = next(made for made in MADE if made is mutant)
    tree = found.tree(SOURCE)
    compile(tree, "box.py", "exec")
    assert ast.dump(tree) != ast.dump(ast.parse(SOURCE))


def test_the_lines_above_change_no_name() -> None:
    assert [mutant.name for mutant in mutants_of("import os\n\n\n" + SOURCE, "box")] == NAMES


def test_a_second_mutant_of_one_name_is_numbered() -> None:
    made = mutants_of("def f(a):\n    return a + 1 + 1\n", "f")
    assert [mutant.name for mutant in made if "1 -> 2" in mutant.name] == ["f:f: 1 -> 2", "f:f: 1 -> 2 #2"]


PLAN = read_plan()


@pytest.mark.parametrize("module", PLAN.modules, ids=lambda module: str(module.name))
def test_the_guarded_modules_and_their_tests_are_there(module: Guarded) -> None:
    assert module.path.is_file()
    assert all((ROOT / tests).is_file() for tests in module.tests)
    names = {mutant.name for mutant in mutants_of(module.source, module.name)}
    listed = {name for name in PLAN.equivalent if name.partition(":")[0] == module.name}
    assert listed <= names


def test_every_equivalent_mutant_is_of_a_guarded_module() -> None:
    assert {name.partition(":")[0] for name in PLAN.equivalent} <= {module.name for module in PLAN.modules}


def test_a_survivor_a_listed_one_that_is_gone_and_one_that_dies_are_findings() -> None:
    results = {"m:f: 1 -> 2": "survived", "m:f: 1 -> 0": "survived", "m:f: a -> b": "killed"}
    listed = {"m:f: 1 -> 0": "why", "m:f: a -> b": "why", "m:f: gone -> x": "why", "other:f: x -> y": "why"}
    assert findings(results, set(results), {"m"}, listed) == [  # type: ignore[arg-type]  # outcomes as texts
        "survived: m:f: 1 -> 2",
        "listed as equivalent, but there is no such mutant: m:f: gone -> x",
        "listed as equivalent, but a test kills it: m:f: a -> b",
    ]
    assert findings({"m:f: 1 -> 0": "survived"}, {"m:f: 1 -> 0"}, {"m"}, {"m:f: 1 -> 0": "why"}) == []
