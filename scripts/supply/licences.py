"""The licences of the packages that Anima installs, as SPDX expressions, and which it may use."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from license_expression import ExpressionError, LicenseWithExceptionSymbol, get_spdx_licensing
from packaging.utils import canonicalize_name

from scripts.supply.locks import PINS, read_lock

RULES: Final = PINS / "licences.toml"

_SPDX: Final = get_spdx_licensing()
# Only classifiers that name one licence; "BSD License", for one, does not.
_CLASSIFIERS: Final = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Spellings of the field `License`, which is free text.
_SPELLINGS: Final = {"Apache 2.0": "Apache-2.0", "MIT License": "MIT"}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The content of pins/licences.toml."""

    allowed: frozenset[str]
    stated: Mapping[str, str]
    exceptions: Mapping[str, str]
    bundled: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Package:
    """A locked package and its licence."""

    name: str
    version: str
    licence: str
    """An SPDX expression, or "" if nothing states one."""


def read_rules(path: Path = RULES) -> Rules:
    """Reads pins/licences.toml."""
    content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return Rules(
        allowed=frozenset(content["allowed"]),
        stated=content["stated"],
        exceptions=content["exceptions"],
        bundled=content["bundled"],
    )


def packages(lock: Path, rules: Rules) -> list[Package]:
    """Returns the packages of a lock with their licences, from their installed metadata."""
    return [
        Package(name=name, version=entry.version, licence=_licence(name, rules))
        for name, entry in sorted(read_lock(lock).items())
    ]


def forbidden_parts(licence: str, rules: Rules) -> list[str]:
    """Returns the licences of an expression that the rules do not allow.

    Of alternatives (`A OR B`) one allowed part is enough.
    """
    if not licence:
        return ["not stated"]
    return _forbidden(_SPDX.parse(_without_references(licence), validate=True), rules)


def bundled_in(package: str) -> set[str]:
    """Returns the names of the shared libraries in an installed wheel, without hash and version."""
    files = metadata.distribution(package).files or []
    bundled = [path.name for path in files if path.parts[0].endswith(".libs")]
    return {re.split(r"-r\d+-|-[0-9a-f]{8}|\.so", name)[0] for name in bundled}


def _licence(name: str, rules: Rules) -> str:
    if name in rules.stated:
        return rules.stated[name]
    found = _installed().get(name)
    if found is None:
        return ""
    expression = _field(found, "License-Expression") or _spdx(_field(found, "License"))
    if expression:
        return expression
    classifiers = {
        _CLASSIFIERS[last]
        for each in found.get_all("Classifier") or ()
        if each.startswith("License ::") and (last := each.rpartition(" :: ")[2]) in _CLASSIFIERS
    }
    return classifiers.pop() if len(classifiers) == 1 else ""


def _field(found: metadata.PackageMetadata, name: str) -> str:
    values = found.get_all(name)
    return str(values[0]) if values else ""


@cache
def _installed() -> Mapping[str, metadata.PackageMetadata]:
    return {
        str(canonicalize_name(each.metadata["Name"])): each.metadata
        for each in metadata.distributions()
    }


def _spdx(text: str) -> str:
    """Returns the field `License` if it is an SPDX expression, else ""."""
    text = _SPELLINGS.get(text.strip(), text.strip())
    if not text or len(text) > 100 or "\n" in text:
        return ""
    try:
        return str(_SPDX.parse(text, validate=True))
    except (ExpressionError, ValueError):
        return ""


def _without_references(licence: str) -> str:
    # The library knows only the references of its own list.
    return licence.replace("LicenseRef-public-domain", "LicenseRef-scancode-public-domain")


def _forbidden(node: Any, rules: Rules) -> list[str]:
    if isinstance(node, _SPDX.OR):
        parts = [_forbidden(each, rules) for each in node.args]
        return [] if [] in parts else [each for part in parts for each in part]
    if isinstance(node, _SPDX.AND):
        return [each for arg in node.args for each in _forbidden(arg, rules)]
    key = node.render() if isinstance(node, LicenseWithExceptionSymbol) else node.key
    return [] if key in rules.allowed else [key]
