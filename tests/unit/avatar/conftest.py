from pathlib import Path

import pytest

from services.avatar.engines.painted import PaintedFaces
from services.avatar.painted.package import AvatarPackage, load_package
from services.avatar.settings import AvatarSettings
from services.runtime.config.settings import CHECKOUT


@pytest.fixture(scope="session")
def package_folder() -> Path:
    return CHECKOUT / "personas" / "anima" / "avatar"


@pytest.fixture(scope="session")
def package(package_folder: Path) -> AvatarPackage:
    return load_package(package_folder)


@pytest.fixture(scope="session")
def painted() -> PaintedFaces:
    engine = PaintedFaces(AvatarSettings())
    engine.load()
    return engine
