"""Which signed tokens are accepted, as whom, and why the others are not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from structlog.testing import capture_logs

from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.errors import PermissionDenied, Unauthenticated
from services.runtime.identity.caller import EVERY_ROLE, Mode, Role
from services.runtime.identity.key_sources import KeyFile
from services.runtime.identity.keys import KeyFormatError, parse_keys
from services.runtime.identity.settings import IdentitySettings
from services.runtime.identity.signed_tokens import SignedTokenVerifier
from services.runtime.identity.signing import SigningKey
from services.runtime.identity.verifier import Verifier, verifier_of
from tests.unit.identity.tokens import KEY, jwks, key_file, token


def verifier(folder: Path, **settings: Any) -> Verifier:
    return verifier_of(
        ServiceSettings.model_validate({"identity_keys_file": key_file(folder)} | settings)
    )


async def reason(checking: Verifier, given: object) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await checking.of_token(given)
    return caught.value.reason


def claims(**change: Any) -> dict[str, Any]:
    now = int(time.time())
    known = {"iss": "anima", "aud": "anima", "sub": "ada", "role": "person", "exp": now + 60}
    return {name: value for name, value in (known | change).items() if value is not None}


def signed(content: Mapping[str, Any], **head: Any) -> str:
    headers = {"kid": KEY.kid} | head
    return jwt.encode(dict(content), KEY.key, algorithm="EdDSA", headers=headers)


async def test_a_token_names_its_user_and_roles(tmp_path: Path) -> None:
    who = await verifier(tmp_path).of_header([f"Bearer {token('ada', 'person')}"], peer="ipv4:x")

    assert (who.mode, who.user_id) == (Mode.IDENTITIES, "ada")
    assert who.roles == {Role.PERSON}
    assert (who.key, who.peer) == ("user:ada", "ipv4:x")
    assert who.user_of("") == who.user_of("ada") == "ada"
    with pytest.raises(PermissionDenied) as caught:
        who.user_of("bob")
    assert caught.value.reason == "NOT_YOURS"
    assert "bob" not in caught.value.message


async def test_a_service_names_the_user_itself(tmp_path: Path) -> None:
    who = await verifier(tmp_path).of_token(token("gateway", "service"))

    assert (who.user_of("bob"), who.user_of(""), who.key) == ("bob", "", "service:gateway")


@pytest.mark.parametrize(
    ("value", "roles"),
    [
        ("person", {Role.PERSON}),
        ("operator person", {Role.PERSON, Role.OPERATOR}),
        (["service", "offline_access", 5], {Role.SERVICE}),
        ("admin", set()),
        ({"person": True}, set()),
        (None, set()),
    ],
)
async def test_roles_are_a_text_or_a_list(tmp_path: Path, value: object, roles: set[Role]) -> None:
    who = await verifier(tmp_path).of_token(signed(claims(role=value)))

    assert who.roles == roles


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["operator"]}}),
        ("https://anima.dev/role", {"https://anima.dev/role": "operator"}),
    ],
)
async def test_roles_may_be_in_another_claim(
    tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    checking = verifier(tmp_path, identity_role_claim=name)

    assert (await checking.of_token(signed(claims(**given)))).roles == {Role.OPERATOR}
    assert (await checking.of_token(token("ada", "person", role_claim=name))).roles == {Role.PERSON}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"iss": "other"}, "TOKEN_WRONG"),
        ({"iss": None}, "TOKEN_WRONG"),
        ({"aud": "other"}, "TOKEN_WRONG"),
        ({"aud": None}, "TOKEN_WRONG"),
        ({"exp": None}, "TOKEN_WRONG"),
        ({"exp": "soon"}, "TOKEN_WRONG"),
        ({"exp": 1_000_000_000}, "TOKEN_EXPIRED"),
        ({"nbf": 4_000_000_000}, "TOKEN_WRONG"),
        ({"sub": None}, "TOKEN_WRONG"),
        ({"sub": ""}, "TOKEN_WRONG"),
        ({"sub": "a" * 129}, "TOKEN_WRONG"),
        ({"sub": "a\0"}, "TOKEN_WRONG"),
        ({"sub": 5}, "TOKEN_WRONG"),
        ({"sub": "\ud800"}, "TOKEN_WRONG"),
        ({"sub": "a\nb"}, "TOKEN_WRONG"),
        ({"exp": float("inf")}, "TOKEN_WRONG"),
        ({"exp": 10**400}, "TOKEN_WRONG"),
        ({"nbf": float("inf")}, "TOKEN_WRONG"),
    ],
)
async def test_claims_that_are_refused(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    assert await reason(verifier(tmp_path), signed(claims(**change))) == expected


async def test_one_of_several_audiences_is_enough(tmp_path: Path) -> None:
    assert (await verifier(tmp_path).of_token(signed(claims(aud=["other", "anima"])))).user_id


async def test_the_leeway_is_for_clocks_that_differ(tmp_path: Path) -> None:
    late = signed(claims(exp=int(time.time()) - 20))

    assert (await verifier(tmp_path).of_token(late)).user_id == "ada"
    assert await reason(verifier(tmp_path, identity_leeway_s=1), late) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    "given",
    ["", None, 5, "x", "a.b", "a.b.c", "ß.ß.ß", "\ud800", "." * 2, "a" * 9000, ["x"]],
    ids=repr,
)
async def test_what_is_no_token_is_refused(tmp_path: Path, given: object) -> None:
    assert await reason(verifier(tmp_path), given) in ("TOKEN_WRONG", "TOKEN_MISSING")


async def test_a_changed_token_is_refused(tmp_path: Path) -> None:
    head, body, signature = token("ada").split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims(sub="bob")).encode()).rstrip(b"=").decode()

    assert await reason(verifier(tmp_path), f"{head}.{other}.{signature}") == "TOKEN_WRONG"
    assert await reason(verifier(tmp_path), f"{head}.{body}.") == "TOKEN_WRONG"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", "ES256", 7])
async def test_the_algorithm_of_the_token_is_not_trusted(tmp_path: Path, algorithm: object) -> None:
    head = {"alg": algorithm, "typ": "JWT"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (head, claims())
    ]

    assert await reason(verifier(tmp_path), ".".join([*parts, ""])) == "TOKEN_WRONG"
    assert await reason(verifier(tmp_path), ".".join([*parts, "AAAA"])) == "TOKEN_WRONG"


async def test_a_public_key_is_never_a_secret(tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = tmp_path / "public.pem"
    path.write_bytes(public)
    checking = verifier(tmp_path, identity_keys_file=path)
    parts = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims())
    )
    for secret in (public, public.strip(), public + b"\n"):
        seal = base64.urlsafe_b64encode(hmac.digest(secret, parts, hashlib.sha256)).rstrip(b"=")
        assert await reason(checking, (parts + b"." + seal).decode()) == "TOKEN_WRONG"

    right = jwt.encode(claims(), private, algorithm="RS256")
    assert (await checking.of_token(right)).user_id == "ada"


@pytest.mark.parametrize("head", [{"crit": ["exp"]}, {"typ": "logout+jwt"}, {"kid": "unknown"}])
async def test_heads_that_are_refused(tmp_path: Path, head: dict[str, Any]) -> None:
    assert await reason(verifier(tmp_path), signed(claims(), **head)) == "TOKEN_WRONG"


async def test_two_values_of_the_header_are_refused_in_every_mode(tmp_path: Path) -> None:
    one = f"Bearer {token()}"
    for checking in (
        verifier(tmp_path),
        verifier_of(ServiceSettings(token="secret")),
        verifier_of(ServiceSettings()),
    ):
        for values in ([one, one], ["Bearer secret", one], ["Bearer secret", "Bearer secret"]):
            with pytest.raises(Unauthenticated, match="more than once"):
                await checking.of_header(values)


async def test_a_shared_token_is_compared_whole() -> None:
    checking = verifier_of(ServiceSettings(token="secret"))

    household = await checking.of_token("secret")
    assert (household.mode, household.user_id, household.roles) == (Mode.SHARED, None, EVERY_ROLE)
    assert household.user_of("bob") == "bob"
    for wrong in ["secre", "secret2", "ß\ud800"]:
        assert await reason(checking, wrong) == "TOKEN_WRONG"
    for missing in ["", None, 5]:
        assert await reason(checking, missing) == "TOKEN_MISSING"
    for values in ([], ["secret"], ["Basic secret"], ["Bearer"], ["Bearer "]):
        with pytest.raises(Unauthenticated):
            await checking.of_header(values)


async def test_an_accepted_token_is_checked_once_and_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    settings = IdentitySettings(identity_keys_file=key_file(tmp_path), identity_leeway_s=5)
    checking = SignedTokenVerifier([KeyFile(tmp_path / "keys.json")], settings, unix_s=lambda: now)
    given = token(lifetime_s=60)
    end = jwt.decode(given, options={"verify_signature": False})["exp"]
    real, decoded = jwt.decode, list[str]()

    def decode(*args: Any, **kwargs: Any) -> Any:
        decoded.append(args[0])
        return real(*args, **kwargs)

    monkeypatch.setattr(jwt, "decode", decode)
    for _ in range(3):
        assert (await checking.of_token(given)).user_id == "ada"
    assert len(decoded) == 1

    now = end + 4
    assert (await checking.of_token(given)).user_id == "ada"
    now = end + 5
    assert await reason(checking, given) == "TOKEN_EXPIRED"


async def test_only_so_many_tokens_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.identity.signed_tokens._MAX_CACHED", 3)
    checking = verifier(tmp_path)
    assert isinstance(checking, SignedTokenVerifier)
    for number in range(9):
        await checking.of_token(token(f"user{number}"))

    assert len(checking._known) == 3


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
async def test_other_curves_sign_too(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = SigningKey.of_private(ec.generate_private_key(curve))
    path = tmp_path / "other.json"
    path.write_bytes(jwks(KEY, key))
    checking = verifier(tmp_path, identity_keys_file=path)

    assert (await checking.of_token(token("bob", key=key))).user_id == "bob"
    assert (await checking.of_token(token("ada"))).user_id == "ada"


async def test_a_secret_signs_and_checks(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("5a" * 32 + "\n")
    checking = verifier(tmp_path, identity_keys_file=path)

    assert (await checking.of_token(token("bob", key=SigningKey.read(path)))).user_id == "bob"
    assert await reason(checking, token("bob")) == "TOKEN_WRONG"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "neither a JSON Web Key Set nor PEM nor a secret"),
        (b"hunter2", "64 hexadecimal digits"),
        (b"ab" * 31, "64 hexadecimal digits"),
        (b"{}", "no key"),
        (b'{"keys":[]}', "no key"),
        (b'{"keys":5}', "not a JSON Web Key Set"),
        (b'{"keys":[5]}', "not a JSON Web Key Set"),
        (b"{", "not JSON"),
        (b'{"keys":[{"kty":"oct","k":"YWJj"}]}', "fewer than 32"),
        (b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"!"}]}', "cannot be read"),
        (KEY.private_pem(), "private key"),
    ],
)
def test_files_without_usable_keys(content: bytes, text: str) -> None:
    with pytest.raises(KeyFormatError, match=text):
        parse_keys(content, secrets=True)


def test_a_secret_at_an_address_is_refused() -> None:
    secret = base64.urlsafe_b64encode(b"a" * 32).decode()
    for content in (b"ab" * 32, json.dumps({"kty": "oct", "k": secret}).encode()):
        with pytest.raises(KeyFormatError):
            parse_keys(content, secrets=False)


def test_private_and_weak_keys_are_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = json.dumps((KEY.public_jwk or {}) | {"d": "AAAA"}).encode()
    with pytest.raises(KeyFormatError, match="1024 bits"):
        parse_keys(pem, secrets=True)
    with pytest.raises(KeyFormatError, match="private key"):
        parse_keys(private, secrets=True)


def test_keys_that_are_not_supported_are_passed_over_in_a_set() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    other = [
        json.loads(RSAAlgorithm.to_jwk(weak)),
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": base64.urlsafe_b64encode(b"a" * 32).decode()},
        {"kty": "OKP", "crv": "Ed25519", "x": "!"},
        {"kty": "AKP", "alg": "ML-DSA-44"},
    ]
    with capture_logs() as logs:
        (key,) = parse_keys(json.dumps({"keys": [*other, KEY.public_jwk]}).encode(), secrets=False)
    assert key.kid == KEY.kid
    assert len(logs) == 4
    for private in ({"kty": "oct", "k": "A" * 44}, (KEY.public_jwk or {}) | {"d": "AAAA"}):
        with pytest.raises(KeyFormatError):
            parse_keys(json.dumps({"keys": [private, KEY.public_jwk]}).encode(), secrets=False)


def test_keys_for_encryption_are_passed_over() -> None:
    content = {"keys": [(KEY.public_jwk or {}) | {"use": "enc"}, KEY.public_jwk]}
    (key,) = parse_keys(json.dumps(content).encode(), secrets=False)

    assert key.algorithms == {"EdDSA"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"token": "t"}, "one shared token or checks signed ones"),
        ({"identity_keys_file": Path("/nowhere/keys")}, "ANIMA_IDENTITY_KEYS_FILE: /nowhere/keys"),
    ],
)
def test_a_server_that_cannot_check_tokens_does_not_start(
    tmp_path: Path, values: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingsError, match=text):
        verifier(tmp_path, **values)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"URL": "http://keys.example/jwks"}, "ANIMA_IDENTITY_KEYS_URL: must begin with https"),
        ({"URL": "https://u:p@keys.example"}, "name no user"),
        ({"URL": "https://["}, "is not an address"),
        ({"URL": "https://keys.example/jwks", "ISSUER": ""}, "without ANIMA_IDENTITY_ISSUER"),
    ],
)
def test_addresses_of_keys(environment: dict[str, str], text: str) -> None:
    variables = {
        "ANIMA_IDENTITY_KEYS_URL": environment["URL"],
        "ANIMA_IDENTITY_ISSUER": environment.get("ISSUER", "https://keys.example"),
    }
    with pytest.raises(SettingsError, match=text):
        ServiceSettings.from_environment(variables)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (["SIGNING_KEY"], "nobody checks them"),
        (["SERVICE_TOKEN"], "nobody checks them"),
        (["KEYS", "SIGNING_KEY", "SERVICE_TOKEN"], "both set; set one"),
    ],
)
def test_settings_that_contradict_each_other(variables: list[str], text: str) -> None:
    environment = {f"ANIMA_IDENTITY_{name}_FILE": "/nowhere" for name in variables}
    with pytest.raises(SettingsError, match=text):
        ServiceSettings.from_environment(environment)


def test_signed_tokens_open_an_address_to_others(tmp_path: Path) -> None:
    path = str(key_file(tmp_path))
    with pytest.raises(SettingsError, match="ANIMA_IDENTITY_KEYS_FILE"):
        ServiceSettings.from_environment({"ANIMA_LISTEN": "0.0.0.0:1"})
    settings = ServiceSettings.from_environment(
        {"ANIMA_LISTEN": "0.0.0.0:1", "ANIMA_IDENTITY_KEYS_FILE": path}
    )
    assert settings.mode is Mode.IDENTITIES
