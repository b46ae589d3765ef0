"""docs/path.md: every function that it names exists, and each hop leads to the next ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "path.md"

_ROW = re.compile(r"\| (\d+) \| `([^`]+)` \| `([^`]+)` \| ([^|]+) \| ([^|]*) ?\|")
_NEXT = re.compile(r"(\d+) (call|task|gRPC|queue|event|callback|reader) `(\w+)`(?: \(`([^`]+)`\))?")


@dataclass(frozen=True)
class Next:
    """How a hop is left."""

    number: int
    kind: str
    name: str
    connected_in: str


@dataclass(frozen=True)
class Hop:
    """One line of a path."""

    path: str
    number: int
    file: str
    function: str
    following: tuple[Next, ...]

    @property
    def name(self) -> str:
        return self.function.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.path}, {self.number}: {self.file} {self.function}"


def read() -> Iterator[Hop]:
    path = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            path = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| # "):
            row = _ROW.fullmatch(line)
            assert row is not None, f"not a hop: {line}"
            number, file, function, _, following = row.groups()
            parts = [part.strip() for part in following.split(";") if part.strip()]
            ways = [_NEXT.fullmatch(part) for part in parts]
            assert all(ways), f"not a way to leave a hop: {line}"
            yield Hop(
                path,
                int(number),
                file,
                function,
                tuple(
                    Next(int(way[1]), way[2], way[3], way[4] or "")
                    for way in ways
                    if way is not None
                ),
            )


HOPS = list(read())


def hop(path: str, number: int) -> Hop:
    (found,) = [each for each in HOPS if (each.path, each.number) == (path, number)]
    return found


@cache
def module(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), file)


def definition(file: str, function: str) -> ast.AST | None:
    """Returns the function or class that a dotted name stands for in a file, None without one."""
    place: ast.AST | None = module(file)
    for name in function.split("."):
        place = next(
            (
                each
                for each in ast.iter_child_nodes(place or ast.Module([], []))
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and each.name == name
            ),
            None,
        )
    return place


def names_in(tree: ast.AST) -> set[str]:
    """Returns the names, attributes, keywords and texts that a piece of code refers to."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.Constant(value=str(text)):
                found.add(text)
            case _:
                pass
    return found


@pytest.mark.parametrize("each", HOPS, ids=str)
def test_the_function_exists(each: Hop) -> None:
    assert definition(each.file, each.function) is not None


WAYS = [(each, way) for each in HOPS for way in each.following]


@pytest.mark.parametrize(("each", "way"), WAYS, ids=lambda part: str(part)[:80])
def test_a_hop_leads_to_the_next(each: Hop, way: Next) -> None:
    after = hop(each.path, way.number)
    here, there = definition(each.file, each.function), definition(after.file, after.function)
    assert here is not None
    assert there is not None
    match way.kind:
        case "call":
            assert way.name == after.name
            assert way.name in names_in(here)
        case "task" | "gRPC":
            assert way.name == after.name
            assert way.name in names_in(module(each.file))
        case "queue" | "event":
            assert way.name in names_in(module(each.file))
            assert way.name in names_in(module(after.file))
        case "callback":
            assert way.name in names_in(here)
            assert after.name in names_in(module(way.connected_in))
        case "reader":
            assert way.name in names_in(there)


@pytest.mark.parametrize("path", sorted({each.path for each in HOPS}))
def test_every_hop_is_reached(path: str) -> None:
    hops = [each for each in HOPS if each.path == path]
    assert [each.number for each in hops] == list(range(1, len(hops) + 1))
    reached = {way.number for each in hops for way in each.following}
    assert reached == {each.number for each in hops[1:]}


def test_three_paths_are_described() -> None:
    assert list(dict.fromkeys(each.path for each in HOPS)) == [
        "A typed question",
        "A spoken question",
        "A `Remember`",
    ]
