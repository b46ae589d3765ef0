"""A real mesh with the embedded engines, and a real Chromium."""

import os
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from testing.browsers.chromium import chromium_path
from testing.fakes.mesh import FakeMesh
from tests.mesh_process import MeshProcess
from tests.requirements import need
from tests.unit.web.clients import serving_page
from tests.web.served import served

HANGS_S = 60.0
LOOK_EVERY_S = 0.1
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


@dataclass(frozen=True)
class WebMesh:
    """A mesh whose talking head reports how many answers it renders."""

    process: MeshProcess
    metrics_address: str
    gateway_metrics_address: str

    @property
    def page(self) -> str:
        return self.process.page

    def rendered_answers(self) -> int:
        return round(_sum(self.metrics_address, "anima_active_streams{"))

    def av_offsets(self) -> tuple[int, float]:
        """The number of AV offsets reported by pages, and the sum of their absolute values, s."""
        name = "anima_gateway_av_offset_seconds"
        count = _sum(self.gateway_metrics_address, f"{name}_count")
        return round(count), _sum(self.gateway_metrics_address, f"{name}_sum")

    def until_rendering(self, answers: int) -> None:
        """Waits until this many answers are being rendered."""
        end = time.monotonic() + HANGS_S
        while (now := self.rendered_answers()) != answers:
            assert time.monotonic() < end, f"{now} answers are rendered, not {answers}"
            time.sleep(LOOK_EVERY_S)


def _sum(address: str, beginning: str) -> float:
    """The sum of the metrics with a prefix."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=HANGS_S) as metrics:
        lines = metrics.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(beginning))


@pytest.fixture(scope="package")
def mesh(chromium_is_here: None, shared_mesh: MeshProcess) -> WebMesh:
    stages = ("AVATAR", "GATEWAY")
    addresses = (shared_mesh.environment[f"ANIMA_{stage}_METRICS_LISTEN"] for stage in stages)
    return WebMesh(shared_mesh, *addresses)


@pytest.fixture(scope="package")
def chromium_is_here() -> None:
    need("chromium")


@pytest.fixture(scope="package")
def scripted_page(chromium_is_here: None) -> Iterator[str]:
    """The address of a page with scripted stages, for tests that need no engine."""

    @asynccontextmanager
    async def site() -> AsyncIterator[str]:
        async with FakeMesh() as fake, fake.mesh() as mesh, serving_page(mesh) as page:
            yield f"http://{page.address}/?media=ws"

    with served(site) as address:
        yield address


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=chromium_path(),
        args=[*FLAGS, *flags],
        ignore_default_args=["--headless", "--mute-audio"],
    )
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="package")
def shared_browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright) as started:
        yield started


@pytest.fixture
def browser(shared_browser: Browser) -> Iterator[Browser]:
    """The browser of all tests; what a failed test left open is closed."""
    yield shared_browser
    for context in shared_browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ANIMA_SCREENSHOTS, or a folder of the run."""
    folder = os.environ.get("ANIMA_SCREENSHOTS")
    if not folder:
        return tmp_path_factory.mktemp("screenshots")
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
