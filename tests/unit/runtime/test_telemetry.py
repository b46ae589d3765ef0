"""No library that Anima imports sends telemetry to its maker."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import ROOT

_OWNER = Path("services/runtime/onnx.py")


def _modules() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def _imports_onnxruntime(path: Path) -> bool:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == "onnxruntime" for name in names):
            return True
    return False


def test_one_module_imports_onnxruntime() -> None:
    assert [path for path in _modules() if _imports_onnxruntime(path)] == [_OWNER]


@pytest.mark.parametrize(
    "module",
    ["services.runtime.onnx", "retrieval.embedding", "gateway.listening.end_of_turn.smart_turn"],
)
def test_importing_it_leaves_no_device_id(module: str, tmp_path: Path) -> None:
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | home
    code = f"import sys, {module}; assert 'onnxruntime' in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
