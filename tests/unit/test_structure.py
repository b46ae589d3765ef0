"""How the packages may depend on each other, and how large a module may be."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("cli", "gateway", "memory", "retrieval", "services", "testing", "text")
PACKAGES = ("bench", "scripts", "tests", *SHIPPED)
MAX_LINES = 400

LOW = ("text", "services.runtime", "retrieval")
"""Packages that all others may import and that import nothing above themselves, lowest first."""
STAGES = ("services.asr", "services.llm", "services.tts", "services.avatar", "memory")
"""The services: each imports its own package and `LOW`."""


@cache
def modules() -> Mapping[str, ast.Module]:
    """Returns every module of ours by its name; the generated stubs in `anima` are not ours."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text("utf-8"), str(path)
        )
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imports(name: str, *, at_module_level: bool) -> Iterator[str]:
    """Yields the modules of ours that a module imports, outside of `if TYPE_CHECKING`.

    Args:
        name: The module.
        at_module_level: Leave out what is imported within functions, when they run.
    """
    pending: list[ast.AST] = [modules()[name]]
    while pending:
        node = pending.pop()
        match node:
            case ast.Import():
                yield from (each for alias in node.names for each in _ours(alias.name))
            case ast.ImportFrom(module=str(module), level=0):
                for alias in node.names:
                    # A name of a package may be a module in it.
                    yield from _ours(f"{module}.{alias.name}")
            case ast.ImportFrom():
                raise AssertionError(f"{name} has a relative import")
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pending.extend(node.orelse)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if at_module_level:
                pass
            case _:
                pending.extend(ast.iter_child_nodes(node))


def _ours(name: str) -> Iterator[str]:
    while name:
        if name in modules():
            yield name
            return
        name = name.rpartition(".")[0]


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def of_package(package: str) -> list[str]:
    return [name for name in modules() if within(name, package)]


def broken(package: str, allowed: tuple[str, ...]) -> list[tuple[str, str]]:
    return sorted(
        {
            (name, imported)
            for name in of_package(package)
            for imported in imports(name, at_module_level=False)
            if not any(within(imported, each) for each in allowed)
        }
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage_nor_what_is_above(stage: str) -> None:
    assert of_package(stage)
    assert not broken(stage, (stage, *LOW))


@pytest.mark.parametrize("package", LOW)
def test_a_low_package_imports_nothing_above_itself(package: str) -> None:
    assert of_package(package)
    assert not broken(package, LOW[: LOW.index(package) + 1])


def test_the_gateway_imports_no_stage() -> None:
    assert not broken("gateway", ("gateway", *LOW))


def test_what_tests_and_commands_share_is_above_the_gateway_alone() -> None:
    assert not broken("testing", ("testing", "gateway", *LOW))


def test_nothing_that_is_shipped_imports_tests_or_benchmarks() -> None:
    assert not [pair for package in SHIPPED for pair in broken(package, SHIPPED)]


@pytest.mark.parametrize("package", ["bench", "scripts"])
def test_benchmarks_and_scripts_import_no_tests(package: str) -> None:
    assert of_package(package)
    assert not broken(package, (package, *SHIPPED))


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {
        name: {each for each in imports(name, at_module_level=True) if each != name}
        for name in modules()
    }
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_module_is_too_long() -> None:
    long = {
        name for name in modules() if len(_path(name).read_text("utf-8").splitlines()) > MAX_LINES
    }
    assert not long


def test_every_module_has_one_idea_that_can_be_named() -> None:
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert not [name for name in modules() if vague & set(name.split("."))]


def _path(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
