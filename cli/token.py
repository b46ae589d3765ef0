"""`anima token`: keys and signed tokens for installations without an identity provider."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jwt
import typer

from cli.console import console, fail, results
from services.runtime.config.settings import ServiceSettings
from services.runtime.errors import AnimaError
from services.runtime.identity.caller import Identity, Mode, Role, check_user_id
from services.runtime.identity.keys import KeyFormatError, parse_keys
from services.runtime.identity.signing import Signer, SigningKey
from services.runtime.identity.verifier import verifier_of

app = typer.Typer(help="Make keys and signed tokens, and read tokens.", no_args_is_help=True)

_PRIVATE, _PUBLIC = "signing-key.pem", "keys.json"
_DAY_S = 86_400

Folder = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="The folder of the key files; default: in the data folder."),
]


def _folder(settings: ServiceSettings, given: Path | None) -> Path:
    return given or settings.data_dir / "identity"


@app.command("key")
def key(
    folder: Folder = None,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate", help="Replace the private key; tokens of the old one stay accepted."
        ),
    ] = False,
) -> None:
    """Make a key pair: the private key signs tokens, the public one checks them."""
    target = _folder(ServiceSettings.from_environment(), folder).absolute()
    private, public = target / _PRIVATE, target / _PUBLIC
    if private.exists() and not rotate:
        fail(f"{private} exists.", remedy="Use --rotate to replace it.")
    made = SigningKey.new()
    try:
        known = _known_keys(public)
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = json.dumps({"keys": [*known, made.public_jwk]}, indent=1) + "\n"
        # The public key first: a token must never be signed with a key that nobody knows.
        _write(public, content.encode(), mode=0o644)
        _write(private, made.private_pem(), mode=0o600)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}.")
    console.print(f"{private} signs tokens: keep it secret.", markup=False, soft_wrap=True)
    console.print("Set these for every service:", markup=False)
    results.print(f"ANIMA_IDENTITY_KEYS_FILE={public}", markup=False)
    results.print(f"ANIMA_IDENTITY_SIGNING_KEY_FILE={private}", markup=False)


def _known_keys(path: Path) -> list[Any]:
    if not path.exists():
        return []
    try:
        content = path.read_bytes()
        parse_keys(content, secrets=False)
        return list(json.loads(content)["keys"])
    except (KeyFormatError, KeyError, TypeError) as error:
        fail(f"{path}: {error}", remedy="Move it away, or name another --folder.")


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Writes a file that has its mode from the beginning, and replaces an old one at once."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@app.command("new")
def new(
    user: Annotated[str, typer.Option(help="The user id; for a service its name.")],
    role: Annotated[
        list[Role] | None,
        typer.Option(help="What the token is for; may be given several times. Default: person."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is accepted.")] = 30,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key",
            exists=True,
            dir_okay=False,
            help="The private key; default: ANIMA_IDENTITY_SIGNING_KEY_FILE, or that of "
            "`anima token key`.",
        ),
    ] = None,
) -> None:
    """Sign a token and print it."""
    settings = ServiceSettings.from_environment()
    path = key_file or settings.identity_signing_key_file or _folder(settings, None) / _PRIVATE
    try:
        check_user_id("--user", user)
        signing = SigningKey.read(path)
    except AnimaError as error:
        fail(error.message)
    except KeyFormatError as error:
        remedy = "" if path.exists() else "Make one with: anima token key"
        fail(f"{path}: {error}", remedy=remedy)
    signer = Signer(
        key=signing,
        issuer=settings.identity_issuer,
        audience=settings.identity_audience,
        role_claim=settings.identity_role_claim,
    )
    roles = role or [Role.PERSON]
    results.print(signer.sign(user, roles, lifetime_s=days * _DAY_S), markup=False)
    names = ", ".join(roles)
    console.print(f"For {user} as {names}, {days} days. Whoever holds it is {user}.", markup=False)


@app.command("show")
def show(
    file: Annotated[
        typer.FileText | None,
        typer.Argument(help="A file with the token, - for stdin; default: that of ANIMA_TOKEN."),
    ] = None,
) -> None:
    """Show whose token it is, its roles, and whether the configured keys accept it."""
    settings = ServiceSettings.from_environment()
    token = (file.read() if file is not None else settings.token or "").strip()
    if not token:
        fail("no token.", remedy="Name a file, or set ANIMA_TOKEN or ANIMA_TOKEN_FILE.")
    try:
        head = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        fail("this is not a signed token.", remedy="A shared token says nothing about its holder.")
    lines = {
        "user": claims.get("sub", ""),
        "roles": claims.get(settings.identity_role_claim, ""),
        "issuer": claims.get("iss", ""),
        "audience": claims.get("aud", ""),
        "from": _day(claims.get("nbf")),
        "until": _day(claims.get("exp")),
        "key": f"{head.get('kid', '')} ({head.get('alg', '')})",
        "accepted": _accepted(settings, token),
    }
    for label, value in lines.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        results.print(f"{label + ':':10} {shown}", markup=False)


def _accepted(settings: ServiceSettings, token: str) -> str:
    if settings.mode is not Mode.IDENTITIES:
        return "not checked; set ANIMA_IDENTITY_KEYS_FILE or ANIMA_IDENTITY_KEYS_URL"

    async def check() -> Identity:
        # The token may come from ANIMA_TOKEN, which a server that checks keys must not have.
        verifier = verifier_of(settings.model_copy(update={"token": None}))
        try:
            return await verifier.of_token(token)
        finally:
            await verifier.close()

    try:
        identity = asyncio.run(check())
    except AnimaError as error:
        return f"no: {error.message.removeprefix('authorization: ')}"
    return "yes" if identity.roles else "yes, but it has no role, so it may do nothing"


def _day(unix_s: object) -> str:
    if not isinstance(unix_s, int | float):
        return ""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
