"""The astronaut of scikit-image (NASA, public domain) and the avatar made from her photo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from services.avatar.engine import BgrImage, CreationOrder
from services.avatar.photo.creation import create_package
from services.avatar.photo.networks import MODEL, FaceNetworks
from services.avatar.photo.package import PhotoPackage
from services.avatar.photo.picture import PhotoReader
from services.avatar.photo.scene import PhotoScene
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need

ORDER = CreationOrder(name="astronaut", consent="NASA portrait, public domain")
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def store() -> ModelStore:
    need("face-mesh")
    need("astronaut")
    return ModelStore(ServiceSettings.from_environment().data_dir / "models")


@pytest.fixture(scope="session")
def networks(store: ModelStore) -> FaceNetworks:
    return FaceNetworks(store.path(MODEL))


@pytest.fixture(scope="session")
def reader() -> Iterator[PhotoReader]:
    with closing(PhotoReader()) as reader:
        yield reader


@pytest.fixture(scope="session")
def photo(store: ModelStore) -> bytes:
    return (store.path("astronaut") / "astronaut.png").read_bytes()


@pytest.fixture(scope="session")
def picture(photo: bytes) -> BgrImage:
    decoded = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


@pytest.fixture(scope="session")
def package(photo: bytes, reader: PhotoReader, networks: FaceNetworks) -> PhotoPackage:
    return make(photo, reader, networks)


@pytest.fixture(scope="session")
def scene(package: PhotoPackage) -> PhotoScene:
    return PhotoScene(package, package.video)


def make(
    photo: bytes, reader: PhotoReader, networks: FaceNetworks, order: CreationOrder = ORDER
) -> PhotoPackage:
    package, _ = create_package(
        photo, order, reader, networks, lambda step, percent: None, created=CREATED
    )
    return package


def png(picture: BgrImage) -> bytes:
    done, coded = cv2.imencode(".png", picture)
    assert done
    return coded.tobytes()
