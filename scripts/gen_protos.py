"""Generates the Python stubs in `anima/` from the protos.

The tools are the oldest supported ones, in a separate environment, so that the stubs load on every
protobuf runtime from 5.29 to 7.x: protobuf rejects gencode that is newer than the runtime.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
LOCK = ROOT / "pins" / "protos.lock"
TOOLS_ENVIRONMENT = ROOT / ".cache" / "proto-tools"


def tools_python() -> Path:
    """Returns the interpreter of the tools' environment, which is rebuilt when out of date."""
    python = TOOLS_ENVIRONMENT / "bin" / "python"
    stamp = TOOLS_ENVIRONMENT / "tools.txt"
    wanted = LOCK.read_text()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(TOOLS_ENVIRONMENT, ignore_errors=True)
    venv.create(TOOLS_ENVIRONMENT, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    options = ("--quiet", "--no-build-isolation", "--require-hashes", "--requirement", LOCK)
    subprocess.run([*pip, "install", *options], check=True)
    stamp.write_text(wanted)
    return python


def exported_names(package: Path) -> dict[str, list[str]]:
    """Returns the public names of each generated module of a package."""
    exports: dict[str, list[str]] = {}
    for module in sorted(package.glob("*_pb2.py")):
        types = (package / f"{module.stem}.pyi").read_text()
        classes = re.findall(r"^class ([A-Z]\w*)[(:]", types, re.MULTILINE)
        enum_values = re.findall(r"^([A-Z][A-Z0-9_]+): \w+\.ValueType", types, re.MULTILINE)
        exports[module.stem] = sorted(
            {name for name in classes if not name.startswith("_")} | set(enum_values)
        )
    for module in sorted(package.glob("*_pb2_grpc.py")):
        names = re.findall(
            r"^(?:class (\w+Stub|\w+Servicer)\(|def (add_\w+_to_server)\()",
            module.read_text(),
            re.MULTILINE,
        )
        exports[module.stem] = sorted("".join(name) for name in names)
    return {module: names for module, names in exports.items() if names}


def write_package(package: Path) -> None:
    """Writes the `__init__.py` that exports every message and stub of the package."""
    exports = exported_names(package)
    name = ".".join(package.parts[-3:])
    origin = "/".join(package.parts[-3:])
    lines = [f'"""Generated from protos/{origin} by scripts/gen_protos.py; do not edit."""', ""]
    for module, names in exports.items():
        lines += [f"from {name}.{module} import (", *(f"    {each}," for each in names), ")"]
    everything = sorted(each for names in exports.values() for each in names)
    lines += ["", "__all__ = [", *(f'    "{each}",' for each in everything), "]", ""]
    (package / "__init__.py").write_text("\n".join(lines))


def generate(out: Path) -> None:
    """Generates all stubs under `out`, replacing existing ones."""
    python = tools_python()
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as staging:
        bin_folder = python.parent
        subprocess.run(
            [
                python, "-m", "grpc_tools.protoc", f"-I{PROTOS}",
                f"--plugin=protoc-gen-mypy={bin_folder / 'protoc-gen-mypy'}",
                f"--plugin=protoc-gen-mypy_grpc={bin_folder / 'protoc-gen-mypy_grpc'}",
                f"--python_out={staging}", f"--grpc_python_out={staging}",
                f"--mypy_out={staging}", f"--mypy_grpc_out={staging}", *files,
            ],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for folder in sorted(Path(staging).glob("anima/*/v1")):
            for empty in folder.glob("common_pb2_grpc.py*"):
                empty.unlink()  # a package with messages only has no service
            write_package(folder)
        shutil.rmtree(out / "anima", ignore_errors=True)
        shutil.copytree(Path(staging) / "anima", out / "anima")
    (out / "anima" / "py.typed").touch()


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT,
        help="folder to write anima/ into (default: the repository)",
    )
    generate(parser.parse_args().out)


if __name__ == "__main__":
    main()
