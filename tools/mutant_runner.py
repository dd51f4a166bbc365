"""Runs the mutants of one module in forks of this process: see `mutate_trust` for what that is good for."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Literal

import pytest
from ast_mutants import Mutant, mutants_of
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("trust", "node", "federation_coordinator", "client", "tools")
JOBS = 2
EXAMPLES_MAX = 12
SECONDS_MIN = 30
ANEW_SECONDS_MAX = 300
PLACE_MAX = 250
# The warning is about what was imported before pytest asked for it; here that is on purpose.
OPTIONS = ("-q", "-s", "-x", "-W", "ignore::pytest.PytestAssertRewriteWarning")
WITHOUT = tuple(f"-pno:{plugin}" for plugin in ("cacheprovider", "faulthandler", "junitxml", "playwright", "xdist"))
# Imported once, before any fork; nothing of the project is.
PRELOADED = ("cryptography.hazmat.primitives.hpke", "hypothesis", "jwt", "rfc8785", "snowballstemmer", "tuf.ngclient")


Outcome = Literal["killed", "survived"]
Results = dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A module and the tests that guard it."""

    name: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        return ROOT / "trust" / "concordat_trust" / f"{self.name}.py"

    @property
    def import_name(self) -> str:
        return "concordat_trust." + self.name.replace("/", ".")

    @property
    def source(self) -> str:
        return self.path.read_text("utf-8")

    def mutants(self, *, sample: int) -> list[Mutant]:
        return [mutant for mutant in mutants_of(self.source, self.name) if mutant.share % sample == 0]


def prepare() -> None:
    """Make this process one that tests can be forked from."""
    sys.path[:0] = [str(ROOT), *(str(ROOT / source) for source in SOURCES)]
    os.chdir(ROOT)
    for name in PRELOADED:
        importlib.import_module(name)
    for plugin in metadata.entry_points(group="pytest11"):
        if f"-pno:{plugin.name}" not in WITHOUT:
            plugin.load()
    # The same few examples every time, no database, no shrinking: a mutant is killed or not, whoever runs this.
    settings.register_profile(
        "mutants",
        derandomize=True,
        max_examples=EXAMPLES_MAX,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")


def try_mutants(module: Guarded, mutants: list[Mutant], *, spared: frozenset[str]) -> Results | None:
    """Return what became of each mutant, or None when the tests fail without any.

    One of `spared` (equivalent, it is said) that survives the first try is not tried again with everything imported.
    """
    quick = _in_fork(lambda: _quick(module, mutants))
    if quick is None:
        return None
    anew = [m for m in mutants if quick.get(m.name) != "killed" and not (m.name in spared and m.name in quick)]
    source = module.source
    return {**quick, **_forked(_anew(module, source, mutant) for mutant in anew)}


# Forks.


def _in_fork(work: Callable[[], Results | None]) -> Results | None:
    """Return what `work` returns in a process of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            data = json.dumps(work()).encode()
            with os.fdopen(write, "wb") as pipe:
                pipe.write(data)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    results: Results | None = json.loads(data) if data else None
    return results


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What a fork does for one mutant: the place of the test that kills it, or None; `killed_by` hears of the place."""

    mutant: Mutant
    run: Callable[[], int | None]
    killed_by: Callable[[int], None]
    seconds_max: float


def _forked(attempts: Iterable[_Attempt]) -> Results:
    """Try the mutants, each in a fork, JOBS at a time; a crash and too much time kill a mutant as well."""
    waiting, running, results = iter(attempts), dict[int, tuple[_Attempt, float]](), Results()
    while True:
        while len(running) < JOBS and (attempt := next(waiting, None)) is not None:
            running[_start(attempt)] = (attempt, time.monotonic() + attempt.seconds_max)
        if not running:
            return results
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            attempt, _ = running.pop(pid)
            results[attempt.mutant.name] = "survived" if status == 0 else "killed"
            if os.WIFEXITED(status) and 0 < os.WEXITSTATUS(status) <= PLACE_MAX:
                attempt.killed_by(os.WEXITSTATUS(status) - 1)
            continue
        for late in [pid for pid, (_, until) in running.items() if time.monotonic() > until]:
            os.kill(late, signal.SIGKILL)
        time.sleep(0.002)


def _start(attempt: _Attempt) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = PLACE_MAX + 1
    try:
        _silence()
        place = attempt.run()
        status = 0 if place is None else min(place, PLACE_MAX) + 1
    finally:
        os._exit(status)


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


# Everything imported anew.


def _anew(module: Guarded, source: str, mutant: Mutant) -> _Attempt:
    def run() -> int | None:
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, _ChangedSource(module, compile(mutant.tree(source), str(module.path), "exec")))
        codes = (pytest.main([*OPTIONS, *WITHOUT, tests], plugins=[_PropertiesLast()]) for tests in module.tests)
        return next((place for place, code in enumerate(codes) if code != pytest.ExitCode.OK), None)

    return _Attempt(mutant, run, lambda _: None, ANEW_SECONDS_MAX)


class _PropertiesLast:
    """A pytest plugin: tests of many examples run when the quick ones have passed."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


class _ChangedSource:
    """Finds the module under test with other code."""

    def __init__(self, module: Guarded, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(self, name: str, _: object = None, __: object = None) -> ModuleSpec | None:
        if name != self._module.import_name:
            return None
        return importlib.util.spec_from_file_location(name, self._module.path, loader=self)  # type: ignore[arg-type]  # a loader

    def create_module(self, _: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - our own source, with one node changed


# The code of one function exchanged, after the tests were collected.


def _quick(module: Guarded, mutants: list[Mutant]) -> Results | None:
    _silence()
    runner = _Runner(module, mutants)
    code = pytest.main([*OPTIONS, *WITHOUT, *module.tests], plugins=[runner])
    return runner.results if code == pytest.ExitCode.OK else None


@dataclass(slots=True)
class _Runner:
    """A pytest plugin that runs the collected tests once, watched, and then once per mutant in a fork."""

    module: Guarded
    mutants: list[Mutant]
    results: Results = field(default_factory=Results)
    executed: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[int, float] = field(default_factory=dict)
    kills: Counter[tuple[str | None, int]] = field(default_factory=Counter)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for number, item in enumerate(session.items):
            self._watched(number, item, session.items[number + 1] if number + 1 < len(session.items) else None)
        if session.testsfailed:
            return True
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # made here once, not in every fork
        live = sys.modules[self.module.import_name]
        source = self.module.source
        inside = [m for m in self.mutants if m.function is not None and _function(live, m.function) and self._tests(m)]
        gc.freeze()  # a fork that collects garbage would copy all of it
        self.results = _forked(self._attempt(session, live, source, mutant) for mutant in inside)
        return True

    def _watched(self, number: int, item: pytest.Item, following: pytest.Item | None) -> None:
        lines = set[int]()
        path = str(self.module.path)

        def local(frame: FrameType, event: str, _: object) -> Any:
            lines.add(frame.f_lineno)
            return local

        def watch(frame: FrameType, event: str, argument: object) -> Any:
            return local(frame, event, argument) if frame.f_code.co_filename == path else None

        started = time.perf_counter()
        threading.settrace(watch)
        sys.settrace(watch)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            sys.settrace(None)
            threading.settrace(None)
        self.seconds[number] = time.perf_counter() - started
        for line in lines:
            self.executed[line].append(number)

    def _tests(self, mutant: Mutant) -> list[int]:
        """Return the tests that execute a line of the mutant: those that killed its neighbours, then the quickest."""
        first, last = mutant.lines
        numbers = {number for line in range(first, last + 1) for number in self.executed.get(line, ())}
        return sorted(numbers, key=lambda number: (-self.kills[mutant.function, number], self.seconds[number]))

    def _attempt(self, session: pytest.Session, live: ModuleType, source: str, mutant: Mutant) -> _Attempt:
        numbers = self._tests(mutant)

        def killed_by(place: int) -> None:
            self.kills[mutant.function, numbers[place]] += 1

        return _Attempt(
            mutant,
            lambda: self._killer(session, live, source, mutant, numbers),
            killed_by,
            SECONDS_MIN + 10 * sum(self.seconds[number] for number in numbers),
        )

    def _killer(
        self, session: pytest.Session, live: ModuleType, source: str, mutant: Mutant, numbers: Sequence[int]
    ) -> int | None:
        name = mutant.function or ""
        function = _function(live, name)
        code = compile(mutant.tree(source), str(self.module.path), "exec")
        changed = _code(code, name.split("."), 0 if function is None else function.__code__.co_firstlineno)
        if function is None or changed is None:
            return None
        function.__code__ = changed
        items = [session.items[number] for number in numbers]
        for place, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return place
        return None


def _function(module: ModuleType, name: str) -> FunctionType | None:
    """Return the living function of that name, out of what wraps it."""
    found: object = module
    for part in name.split("."):
        found = vars(found).get(part) if isinstance(found, type) else getattr(found, part, None)
    for wrapper in ("fget", "__func__", "func", "__wrapped__"):
        found = getattr(found, wrapper, found)
    return found if isinstance(found, FunctionType) else None


def _code(code: CodeType, names: Sequence[str], line: int) -> CodeType | None:
    """Return the code of a function inside the code of its module; of several of one name, that at `line`."""
    found = [item for item in code.co_consts if isinstance(item, CodeType) and item.co_name == names[0]]
    if len(names) > 1:
        return next((inner for item in found if (inner := _code(item, names[1:], line)) is not None), None)
    return next((item for item in found if item.co_firstlineno == line), None)
