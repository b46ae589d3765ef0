"""The tokens of a service's own calls: signed and renewed, or read from a file."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.identity import call_tokens
from services.runtime.identity.call_tokens import TokenFile, call_token
from services.runtime.identity.signing import SignedCalls
from tests.unit.identity.tokens import KEY, SIGNER, key_file, signing_key_file


def ends_unix_s(token: str) -> int:
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["role"]) == ("gateway", ["service"])
    return int(claims["exp"])


def test_a_token_is_renewed_before_it_ends() -> None:
    now = 1_000_000.0
    calls = SignedCalls(SIGNER, "gateway", lifetime_s=100, unix_s=lambda: now)
    first = calls()
    assert ends_unix_s(first) == 1_000_100
    now += 49
    assert calls() is first
    now += 2
    assert ends_unix_s(calls()) == 1_000_151
    now -= 1000  # the clock was set back
    assert ends_unix_s(calls()) == 999_151


def test_a_token_in_a_file_is_read_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    token = TokenFile(path)
    assert token() == "first"
    path.write_text("second\n")
    monkeypatch.setattr(call_tokens, "_LOOK_EVERY_S", 0)
    token._stamp = 0  # two writes may have the same time stamp
    assert token() == "second"
    path.unlink()
    assert token() == "second"


def test_the_token_comes_from_the_settings(tmp_path: Path) -> None:
    keys = {"identity_keys_file": key_file(tmp_path)}
    token = tmp_path / "token"
    token.write_text("from a file")
    shared = ServiceSettings(token="t")
    signing = ServiceSettings.model_validate(
        keys | {"identity_signing_key_file": signing_key_file(tmp_path)}
    )
    given = ServiceSettings.model_validate(keys | {"identity_service_token_file": token})

    assert call_token(ServiceSettings(), "gateway")() is None
    assert call_token(shared, "gateway")() == "t"
    assert call_token(given, "gateway")() == "from a file"
    signed = call_token(signing, "gateway")()
    assert signed is not None
    assert jwt.get_unverified_header(signed)["kid"] == KEY.kid


@pytest.mark.parametrize("field", ["identity_signing_key_file", "identity_service_token_file"])
def test_what_cannot_be_read_is_named(tmp_path: Path, field: str) -> None:
    settings = ServiceSettings.model_validate(
        {"identity_keys_file": key_file(tmp_path), field: tmp_path / "missing"}
    )
    with pytest.raises(SettingsError, match=f"ANIMA_{field.upper()}: .*missing"):
        call_token(settings, "gateway")
