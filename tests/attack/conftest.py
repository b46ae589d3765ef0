"""The meshes that are attacked: one without a token, one that demands a token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.attacked import TOKEN, Attacked, attacked_mesh
from tests.requirements import need
from tests.unit.identity.tokens import key_file, signing_key_file


@pytest.fixture(scope="session")
def open_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A mesh on loopback without a token."""
    need("encoder")
    with attacked_mesh(tmp_path_factory.mktemp("open-mesh"), {}) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def guarded_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A mesh that demands a token."""
    need("encoder")
    with attacked_mesh(tmp_path_factory.mktemp("guarded-mesh"), {"ANIMA_TOKEN": TOKEN}) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def personal_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A mesh whose callers need a signed token of their own."""
    need("encoder")
    folder = tmp_path_factory.mktemp("personal-mesh")
    keys = {
        "ANIMA_IDENTITY_KEYS_FILE": str(key_file(folder)),
        "ANIMA_IDENTITY_SIGNING_KEY_FILE": str(signing_key_file(folder)),
    }
    with attacked_mesh(folder, keys) as mesh:
        yield mesh
