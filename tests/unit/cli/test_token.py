"""`anima token`: what it makes is what the servers accept."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from services.runtime.config.settings import ServiceSettings
from services.runtime.identity.caller import Role
from services.runtime.identity.verifier import verifier_of

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANIMA_DATA_DIR", str(tmp_path / "data"))
    for name in ("TOKEN", "TOKEN_FILE", "IDENTITY_KEYS_FILE", "IDENTITY_SIGNING_KEY_FILE"):
        monkeypatch.delenv(f"ANIMA_{name}", raising=False)


def run(*arguments: str, stdin: str = "", code: int = 0) -> tuple[str, str]:
    done = RUNNER.invoke(app, ["token", *arguments], input=stdin)
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def use_key(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a key pair and sets what the command says; returns the folder."""
    lines = run("key")[0].split()
    for name, _, value in (line.partition("=") for line in lines):
        monkeypatch.setenv(name, value)
    return Path(lines[0].partition("=")[2]).parent


async def test_a_new_token_is_accepted_by_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    use_key(monkeypatch)
    token = run("new", "--user", "ada", "--role", "person", "--role", "operator")[0].strip()
    who = await verifier_of(ServiceSettings.from_environment()).of_token(token)

    assert who.user_id == "ada"
    assert who.roles == {Role.PERSON, Role.OPERATOR}


def test_the_private_key_is_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = use_key(monkeypatch)
    private, public = folder / "signing-key.pem", folder / "keys.json"

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "PRIVATE" in private.read_text()
    assert '"d"' not in public.read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["keys.json", "signing-key.pem"]


async def test_a_key_is_replaced_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = use_key(monkeypatch)
    old = run("new", "--user", "ada")[0].strip()
    assert "--rotate" in run("key", code=1)[1]

    run("key", "--rotate")
    new = run("new", "--user", "ada")[0].strip()
    assert len(json.loads((folder / "keys.json").read_text())["keys"]) == 2
    checking = verifier_of(ServiceSettings.from_environment())
    for token in (old, new):
        assert (await checking.of_token(token)).user_id == "ada"


def test_a_token_is_shown_without_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    use_key(monkeypatch)
    token = run("new", "--user", "ada", "--days", "1")[0].strip()
    monkeypatch.setenv("ANIMA_TOKEN", token)
    for shown, errors in (run("show"), run("show", "-", stdin=token)):
        assert "user:      ada" in shown
        assert "roles:     person" in shown
        assert "accepted:  yes" in shown
        assert token.split(".")[2] not in shown + errors

    changed = token[:-4] + "AAAA"
    assert "accepted:  no: the signature" in run("show", "-", stdin=changed)[0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        (("show",), "", "no token"),
        (("show", "-"), "hunter2", "not a signed token"),
        (("new", "--user", "ada"), "", "anima token key"),
        (("new", "--user", ""), "", "--user: is empty"),
        (("new", "--user", "a" * 129), "", "at most 128 characters"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], stdin: str, problem: str) -> None:
    assert problem in run(*arguments, stdin=stdin, code=1)[1]


def test_keys_that_cannot_be_read_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "keys.json").write_text("{")
    assert "Move it away" in run("key", "--folder", str(folder), code=1)[1]
    assert (folder / "keys.json").read_text() == "{"
