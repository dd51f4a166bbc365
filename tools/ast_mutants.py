"""Mutants of a Python module, made from its syntax tree: every small change that should make a test fail.

Rules of this file:

* A mutant changes one node. It is named by where it is and what it becomes, never by a line number, so that a list of
  equivalent ones survives edits elsewhere: `Class.method: before -> after`, with `#2` for the second of its kind.
* What nobody could observe is not mutated: annotations, docstrings, `__all__`, texts for people (sentences, hints, the
  fields of an error), arguments of the `dataclass` decorator, `cast` and `TypeVar`.
* A mutant inside a function carries the name of its outermost function, whose code alone has to be exchanged; any other
  is one of the module's own statements, which only a new import executes.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Change = Callable[[ast.AST], ast.AST]
Path = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed node. `function` is the outermost function as `Class.method`, or None in the module's own code."""

    module: str
    function: str | None
    name: str
    lines: tuple[int, int]
    path: Path
    change: Change

    def tree(self, source: str) -> ast.Module:
        """Return the syntax tree of `source`, which this mutant was made from, with the node changed."""
        return _mutated(ast.parse(source), self.path, self.change)

    @property
    def share(self) -> int:
        """A number from 0 to 2**32 - 1 that stays the same as long as the name does: for deterministic samples."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "big")


def mutants_of(source: str, module: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its source; names differ."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for site in _Sites(tree).found:
        for after, change in _changes(site.node):
            name = f"{module}:{site.function or '<module>'}: {_shown(site.node)} -> {after}"
            seen[name] += 1
            numbered = name if seen[name] == 1 else f"{name} #{seen[name]}"
            found.append(Mutant(module, site.function, numbered, _lines(site.node), site.path, change))
    return found


# Where.


def _lines(node: ast.AST) -> tuple[int, int]:
    """Return the lines that are executed when the changed part of a node is."""
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            return _lines(node.test)
        case ast.comprehension():
            return _lines(node.target)[0], _lines(node.ifs[-1] if node.ifs else node.iter)[1]
        case ast.ExceptHandler():
            return node.lineno, node.lineno
        case _:
            return getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0


@dataclass(frozen=True, slots=True)
class _Site:
    node: ast.AST
    parent: ast.AST
    path: Path
    function: str | None


class _Sites:
    """Collects the nodes that may be changed, with the way to them."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[_Site] = []
        self._walk_body(tree, (), (), None)

    def _walk_body(self, node: ast.AST, path: Path, names: tuple[str, ...], function: str | None) -> None:
        for field, child, index in _children(node):
            self._visit(child, node, (*path, (field, index)), names, function)

    def _visit(self, node: ast.AST, parent: ast.AST, path: Path, names: tuple[str, ...], function: str | None) -> None:
        if _is_unobservable(node, parent, path[-1][0]):
            return
        inner, inside = names, function
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = (*names, node.name)
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and path[-1][0] == "body" and function is None:
            inside = ".".join(names)
        self.found.append(_Site(node, parent, path, inside))
        self._walk_body(node, path, inner, inside)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST, int | None]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield field, value, None
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield field, item, index


_TEXTS_FOR_PEOPLE = {"sentence", "hint", "__all__", "code"}


def _is_unobservable(node: ast.AST, parent: ast.AST, field: str) -> bool:
    if field in ("annotation", "returns", "decorator_list", "ctx", "type_params", "bases"):
        return True
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.JoinedStr):
        return True  # a docstring
    if isinstance(node, ast.Assign) and isinstance(parent, ast.ClassDef | ast.Module):
        return any(_name(target) in _TEXTS_FOR_PEOPLE for target in node.targets) or _is_call_of(node.value, "TypeVar")
    if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(parent, ast.Call) and _name(parent.func) == "cast" and parent.args and node is parent.args[0]:
        return True
    if _is_call_of(parent, "Shape") and field == "args" and node is parent.args[-1]:  # type: ignore[attr-defined]  # a Call
        return True  # the name of a document, for people
    # What an error is made of is text for people; that it is raised, and of which kind, is not.
    return isinstance(parent, ast.Raise) or (_is_call_of(parent, "refuse") and field in ("args", "keywords"))


def _is_call_of(node: ast.AST | None, *names: str) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) in names


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _shown(node: ast.AST) -> str:
    # A statement with a body is named by its head: what stands in the body has mutants of its own.
    if isinstance(node, ast.If | ast.While):
        return f"{'if' if isinstance(node, ast.If) else 'while'} {_shown(node.test)}"
    if isinstance(node, ast.ExceptHandler):
        return f"except {_shown(node.type)}" if node.type is not None else "except"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else f"{text[:120]}…{hashlib.sha256(text.encode()).hexdigest()[:8]}"


# What.

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "frozenset": "list"}
_METHODS = {"fullmatch": "match", "partition": "rpartition", "rpartition": "partition", "removesuffix": "removeprefix"}

Made = tuple[str, Change]


def _changes(node: ast.AST) -> Iterator[Made]:
    match node:
        case ast.Compare():
            yield from _compared(node)
        case ast.BoolOp():
            yield from _joined(node)
        case ast.UnaryOp(op=ast.Not()):
            yield _shown(node.operand), lambda n: n.operand  # type: ignore[attr-defined]  # a UnaryOp
        case ast.UnaryOp(op=ast.USub()):
            yield _shown(node.operand), lambda n: n.operand  # type: ignore[attr-defined]  # a UnaryOp
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _BINARY:
            yield _operated(node, _BINARY[type(node.op)])
        case ast.If() | ast.IfExp() | ast.While():
            yield f"not ({_shown(node.test)})", _negated
        case ast.Constant():
            yield from _constants(node)
        case ast.Call():
            yield from _called(node)
        case ast.comprehension():
            yield from _filtered(node)
        case _:
            yield from _statements(node)


def _statements(node: ast.AST) -> Iterator[Made]:
    match node:
        case ast.Return() if node.value is not None and not _is_none(node.value):
            yield "return None", lambda n: ast.copy_location(ast.Return(ast.Constant(None)), n)
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign() | ast.Delete():
            yield "pass", _passed
        case ast.Expr(value=ast.Call() | ast.YieldFrom() | ast.Yield() | ast.Await()):
            yield "pass", _passed
        case ast.Assign() if not all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets):
            yield "pass", _passed
        case ast.ExceptHandler(type=ast.Tuple() as caught):
            for index, kind in enumerate(caught.elts):
                yield f"without {_shown(kind)}", _without_kind(index)
        case _:
            return


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _passed(node: ast.AST) -> ast.AST:
    return ast.copy_location(ast.Pass(), node)


def _negated(node: ast.AST) -> ast.AST:
    test = node.test  # type: ignore[attr-defined]  # If, IfExp and While have one
    node.test = ast.copy_location(ast.UnaryOp(ast.Not(), test), test)  # type: ignore[attr-defined]  # as above
    return node


def _compared(node: ast.Compare) -> Iterator[Made]:
    for index, operator in enumerate(node.ops):
        for other in _COMPARE[type(operator)]:

            def change(n: ast.AST, index: int = index, other: type[ast.cmpop] = other) -> ast.AST:
                n.ops[index] = other()  # type: ignore[attr-defined]  # a Compare
                return n

            yield _after(node, change), change


def _joined(node: ast.BoolOp) -> Iterator[Made]:
    def other(n: ast.AST) -> ast.AST:
        n.op = ast.Or() if isinstance(n.op, ast.And) else ast.And()  # type: ignore[attr-defined]  # a BoolOp
        return n

    yield _after(node, other), other
    for index in range(len(node.values)):

        def without(n: ast.AST, index: int = index) -> ast.AST:
            del n.values[index]  # type: ignore[attr-defined]  # a BoolOp
            values: list[ast.AST] = n.values  # type: ignore[attr-defined]  # a BoolOp
            return values[0] if len(values) == 1 else n

        yield _after(node, without), without


def _operated(node: ast.BinOp | ast.AugAssign, other: type[ast.operator]) -> Made:
    def change(n: ast.AST) -> ast.AST:
        n.op = other()  # type: ignore[attr-defined]  # BinOp or AugAssign
        return n

    return _after(node, change), change


def _constants(node: ast.Constant) -> Iterator[Made]:
    value = node.value
    made: list[object] = []
    if isinstance(value, bool):
        made = [not value]
    elif isinstance(value, int):
        made = [value + 1] if value < 1 else [value + 1, value - 1]
    elif isinstance(value, bytes):
        made = [value + b"XX"]
    elif isinstance(value, str) and " " not in value:  # prose is for people
        made = [f"{value}XX"]
    for other in made:

        def change(n: ast.AST, other: object = other) -> ast.AST:
            return ast.copy_location(ast.Constant(other), n)  # type: ignore[arg-type]  # of the same kind

        yield repr(other), change


def _called(node: ast.Call) -> Iterator[Made]:
    name = _name(node.func)
    other = _NAMES.get(name) if isinstance(node.func, ast.Name) else _METHODS.get(name)
    if other is not None:

        def renamed(n: ast.AST, other: str = other) -> ast.AST:
            func = n.func  # type: ignore[attr-defined]  # a Call
            if isinstance(func, ast.Name):
                func.id = other
            else:
                func.attr = other
            return n

        yield _after(node, renamed), renamed
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None:

            def without(n: ast.AST, index: int = index) -> ast.AST:
                del n.keywords[index]  # type: ignore[attr-defined]  # a Call
                return n

            yield f"without {keyword.arg}=", without


def _filtered(node: ast.comprehension) -> Iterator[Made]:
    for index, test in enumerate(node.ifs):

        def without(n: ast.AST, index: int = index) -> ast.AST:
            del n.ifs[index]  # type: ignore[attr-defined]  # a comprehension
            return n

        yield f"without if {_shown(test)}", without


def _without_kind(index: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        del node.type.elts[index]  # type: ignore[attr-defined]  # an ExceptHandler of several kinds
        return node

    return change


def _after(node: ast.AST, change: Change) -> str:
    return _shown(change(copy.deepcopy(node)))


def _mutated(tree: ast.Module, path: Path, change: Change) -> ast.Module:
    holder: ast.AST = tree
    for field, index in path[:-1]:
        value = getattr(holder, field)
        holder = value if index is None else value[index]
    field, index = path[-1]
    if index is None:
        setattr(holder, field, change(getattr(holder, field)))
    else:
        items = getattr(holder, field)
        items[index] = change(items[index])
    return ast.fix_missing_locations(tree)
