"""No library that Anima imports reports to its maker."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from services.runtime.observing.telemetry import REPORTERS
from tests.requirements import ROOT

_OWNER = Path("services/runtime/onnx.py")
_LIBRARIES = {library for reporter in REPORTERS for library in reporter.libraries}
_NAMED = _LIBRARIES | {"peft", "tokenizers", "torch"}
"""Those of the table, and those that import them."""
_PROCESSES = (
    "cli.main",
    "gateway.__main__",
    "memory.__main__",
    "services.runtime.sandbox.fork_server",
    "memory.langchain",
    "services.asr.__main__",
    "services.asr.engines.pocketsphinx.worker",
    "services.avatar.__main__",
    "services.llm.__main__",
    "services.tts.__main__",
    "bench.__main__",
    "tests.conftest",
)
"""What begins a process, or is imported by programs of others."""
_WATCHED_IMPORT = """
import importlib, json, os, sys

variables = json.loads(sys.argv[2])
found = []

class Watch:
    def find_spec(self, name, path=None, target=None):
        wrong = [v for v, value, libraries in variables
                 if name in libraries and os.environ.get(v) != value]
        if wrong:
            found.append(f"{name} was imported before {', '.join(wrong)}")

sys.meta_path.insert(0, Watch())
try:
    importlib.import_module(sys.argv[1])
except ModuleNotFoundError as error:
    if error.name.partition(".")[0] not in ("peft", "torch", "transformers", "vllm"):
        raise
found += [f"{v} is not set afterwards" for v, value, _ in variables if os.environ.get(v) != value]
sys.exit("; ".join(found) or 0)
"""


def _modules() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


@cache
def _imports(path: Path) -> frozenset[str]:
    """The top-level packages that a module imports, also within its functions; none if it names
    no library of the table."""
    names: set[str] = set()
    source = (ROOT / path).read_text(encoding="utf-8")
    if not any(library in source for library in _NAMED):
        return frozenset()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return frozenset(name.split(".")[0] for name in names)


def _importers() -> list[str]:
    """Our modules, tests left out, that import a library of the table or what imports one."""
    return sorted(
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in _modules()
        if path.parts[0] not in ("tests", "docs") and _imports(path) & _NAMED
    )


def _without_variables() -> dict[str, str]:
    names = {reporter.variable for reporter in REPORTERS}
    return {name: value for name, value in os.environ.items() if name not in names}


def test_one_module_imports_onnxruntime() -> None:
    assert [path for path in _modules() if "onnxruntime" in _imports(path)] == [_OWNER]


@pytest.mark.parametrize("module", [*_PROCESSES, *_importers()])
def test_the_variables_are_set_before_any_library_is_imported(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED_IMPORT, module, json.dumps([r[:3] for r in REPORTERS])],
        env=_without_variables(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{module}: {done.stderr}"


def test_a_setting_of_the_user_does_not_bring_the_reports_back() -> None:
    environment = {reporter.variable: "" for reporter in REPORTERS}
    code = (
        "import os, services.runtime.observing.telemetry as telemetry;"
        "print(*(os.environ[each.variable] for each in telemetry.REPORTERS))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.split() == [reporter.value for reporter in REPORTERS]


def test_the_page_lists_every_variable() -> None:
    page = (ROOT / "docs" / "supply-chain.md").read_text("utf-8")
    for reporter in REPORTERS:
        row = f"| `{reporter.variable}={reporter.value}` | {', '.join(reporter.libraries)} | "
        assert row + reporter.why in page


@pytest.mark.parametrize(
    "module",
    ["services.runtime.onnx", "retrieval.embedding", "gateway.listening.end_of_turn.smart_turn"],
)
def test_importing_it_leaves_no_device_id(module: str, tmp_path: Path) -> None:
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = _without_variables() | home
    code = f"import sys, {module}; assert 'onnxruntime' in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
