"""`anima up` for several people: real processes that check signed tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.runtime.identity.caller import Role
from services.runtime.identity.signing import Signer, SigningKey
from tests.mesh_process import MeshProcess, running_mesh
from tests.requirements import need

pytestmark = [pytest.mark.process, pytest.mark.slow]
HANGS_S = 60.0
ANIMA = str(Path(sys.executable).with_name("anima"))


def anima(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of ours to its end."""
    return subprocess.run(
        [ANIMA, *arguments],
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that `anima token key` prints."""
    folder = tmp_path_factory.mktemp("keys")
    made = anima({}, "token", "key", "--folder", str(folder))
    assert made.returncode == 0, made.stderr
    return dict(line.split("=", 1) for line in made.stdout.split())


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> Iterator[MeshProcess]:
    need("encoder")
    environment = keys | {"OMP_NUM_THREADS": "1"}
    with running_mesh(tmp_path_factory.mktemp("mesh"), environment) as running:
        yield running


def token(keys: dict[str, str], user: str, role: str) -> str:
    key = SigningKey.read(Path(keys["ANIMA_IDENTITY_SIGNING_KEY_FILE"]))
    signer = Signer(key=key, issuer="anima", audience="anima")
    return signer.sign(user, [Role(role)], lifetime_s=600)


def test_two_people_have_their_own_memory(mesh: MeshProcess, keys: dict[str, str]) -> None:
    def call(user: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(keys, user, 'person')}"}
        headers |= options.pop("headers", {})
        return httpx.request(
            method, mesh.page + path, headers=headers, timeout=60, trust_env=False, **options
        )

    told = {"text": "My PIN is 4711. Please remember it."}
    assert call("ada", "POST", "v1/ask?format=json", json=told).status_code == 200
    ends_s = time.monotonic() + HANGS_S
    while not (listed := call("ada", "GET", "v1/memory").json())["total_count"]:
        assert time.monotonic() < ends_s, "nothing was remembered"
    assert "4711" in json.dumps(listed)

    # The three calls with which anybody took, asked for and erased it before.
    foreign = {"anima-user-id": "ada"}
    assert call("bob", "GET", "v1/memory", headers=foreign).status_code == 403
    asked = {"text": "What is my PIN?", "user_id": "ada"}
    assert call("bob", "POST", "v1/ask?format=json", json=asked).status_code == 403
    assert call("bob", "DELETE", "v1/memory", headers=foreign).status_code == 403
    own = call("bob", "POST", "v1/ask?format=json", json={"text": "What is my PIN?"})
    assert own.status_code == 200
    assert "4711" not in own.text
    assert httpx.get(mesh.page + "v1/memory", trust_env=False).status_code == 401
    assert call("ada", "GET", "v1/memory").json()["total_count"]


def test_the_command_line_has_a_token_or_the_key(mesh: MeshProcess, keys: dict[str, str]) -> None:
    address = ("--memory", mesh.address("memory"))
    bob = {"ANIMA_TOKEN": token(keys, "bob", "person")}

    foreign = anima(bob, "memory", "list", "ada", *address)
    assert foreign.returncode == 1
    assert "another user" in foreign.stderr
    assert anima(bob, "memory", "list", "bob", *address).returncode == 0
    assert "token" in anima({}, "memory", "list", "ada", *address).stderr
    # On the machine with the private key the command is a service.
    assert anima(keys, "memory", "list", "ada", *address).returncode == 0
    gateway = ("--gateway", mesh.gateway_address)
    assert anima(bob, "ask", "Hello!", *gateway, "--user", "bob").returncode == 0
    assert "another user" in anima(bob, "ask", "Hello!", *gateway, "--user", "ada").stderr


def test_no_token_is_in_a_log(mesh: MeshProcess, keys: dict[str, str]) -> None:
    given = token(keys, "ada", "person")
    headers = {"authorization": f"Bearer {given}"}
    for path in ("v1/mesh", "v1/memory", "v1/nothing"):
        httpx.get(mesh.page + path, headers=headers, trust_env=False)
    httpx.get(mesh.page + "v1/mesh", headers={"authorization": given}, trust_env=False)
    logs = "".join(path.read_text() for path in mesh.logs.glob("*.log"))
    assert "ready" in logs
    assert given.split(".")[2] not in logs
    assert "PRIVATE" not in logs
