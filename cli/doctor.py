"""`anima doctor`: what is missing on this machine and how to install it."""

from __future__ import annotations

import asyncio
import ctypes.util
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import typer
from rich.markup import escape

from cli.addresses import LOOPBACK
from cli.console import console, listing, print_table
from cli.mesh.checks import CheckError, settings_of
from cli.mesh.layout import Layout, fixed_layout, taken_addresses
from cli.models import model_store
from gateway.stages.spec import GATEWAY_PORT, STAGES
from memory.sqlite.commits import Loss
from services.asr.choosing.choice import BEST_MODEL, choose_engine
from services.asr.choosing.more_languages import OF_MANY_LANGUAGES, how_to_hear_more
from services.asr.choosing.whisper import missing_steps
from services.asr.settings import AsrSettings
from services.runtime.config.settings import ServiceSettings, SettingsError
from services.runtime.engines import engine_names, load_engine
from services.runtime.errors import Unavailable
from services.runtime.models.store import ModelState, StoredModel
from services.runtime.sandbox.jobs import LEAST
from services.runtime.sandbox.sandbox import Sandbox
from services.tts.engine import EngineUnavailableError, MeasuredEngine, TtsEngine
from services.tts.settings import TtsSettings
from services.tts.voices import AUTO, VoiceBook

_DISK_NEEDED_BYTES: Final = 500 * 2**20
_MEMORY_NEEDED_BYTES: Final = 2 * 2**30
_ENGLISH_ONLY: Final = frozenset({"auto", "moonshine", "pocketsphinx"})
_SHOWN_LANGUAGES: Final = ("en-US", "zh")


class Verdict(StrEnum):
    """How serious a finding is."""

    FINE = "ok"
    OPTIONAL = "optional"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def _default_layout() -> Layout:
    return fixed_layout(http_address=f"{LOOPBACK}:8080", first_port=GATEWAY_PORT)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return Finding(
        subject="Python",
        verdict=Verdict.FINE if fine else Verdict.MISSING,
        detail=version,
        remedy="" if fine else "Install Python 3.11 or newer.",
    )


def _settings() -> Finding:
    try:
        settings_of(_default_layout())
        settings = ServiceSettings.from_environment()
    except (CheckError, SettingsError) as error:
        return Finding(
            subject="settings",
            verdict=Verdict.MISSING,
            detail=str(error),
            remedy="Fix the variable; docs/settings.md lists all.",
        )
    return Finding(subject="settings", verdict=Verdict.FINE, detail=f"data in {settings.data_dir}")


def _disk() -> Finding:
    folder = ServiceSettings.from_environment().data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    fine = free >= _DISK_NEEDED_BYTES
    return Finding(
        subject="disk",
        verdict=Verdict.FINE if fine else Verdict.MISSING,
        detail=f"{free / 2**30:.1f} GiB free at {folder}",
        remedy="" if fine else "Free 500 MiB, or set ANIMA_DATA_DIR to another disk.",
    )


def _stored_memories() -> list[Finding]:
    lost = Loss.read(ServiceSettings.from_environment().data_dir / "memory")
    if lost is None:
        return []
    return [
        Finding(
            subject="stored memories",
            verdict=Verdict.MISSING,
            detail=f"{lost.transactions} confirmed transactions were missing at {lost.noticed}",
            remedy=f"Put back a copy of {lost.path.parent}; or accept it and remove {lost.path}.",
        )
    ]


def _memory() -> Finding:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fine = size >= _MEMORY_NEEDED_BYTES
    return Finding(
        subject="memory",
        verdict=Verdict.FINE if fine else Verdict.MISSING,
        detail=f"{size / 2**30:.1f} GiB, {os.cpu_count()} cores",
        remedy="" if fine else "The whole mesh needs 2 GiB; run fewer services on this machine.",
    )


def _sandbox() -> Finding:
    sandbox = Sandbox("services.runtime.sandbox.no_job", limits=LEAST)
    try:
        found = sandbox.protection()
    except Unavailable:
        return Finding(
            subject="sandbox",
            verdict=Verdict.MISSING,
            detail="no worker process can be started for photos, recordings and documents",
            remedy="See the error above.",
        )
    finally:
        sandbox.close()
    active = [f"Landlock {found.landlock_abi}"] if found.landlock_abi else []
    active += ["seccomp"] if found.seccomp else []
    active += [] if found.unprivileged else ["as root"]
    return Finding(
        subject="sandbox",
        verdict=Verdict.OPTIONAL if found.missing else Verdict.FINE,
        detail=", ".join(("workers with limits", *active)),
        remedy="; ".join(f"There is no {each}." for each in found.missing),
    )


def _models() -> list[Finding]:
    return [_model(entry) for entry in model_store().list()]


def _model(entry: StoredModel) -> Finding:
    if entry.state is ModelState.PRESENT:
        return Finding(
            subject=f"model {entry.name}", verdict=Verdict.FINE, detail=entry.model.description
        )
    return Finding(
        subject=f"model {entry.name}",
        verdict=Verdict.MISSING if entry.model.embedded else Verdict.OPTIONAL,
        detail=f"{entry.state} {entry.detail}: {entry.model.description}. {entry.model.without}",
        remedy=f"anima models pull {entry.name}",
    )


def _flite() -> Finding:
    fine = ctypes.util.find_library("flite_cmu_us_slt") is not None
    return Finding(
        subject="flite",
        verdict=Verdict.FINE if fine else Verdict.OPTIONAL,
        detail="better English voices" if not fine else "English voices slt, rms, awb, kal16",
        remedy="" if fine else "apt-get install libflite1 (without it, eSpeak NG speaks English)",
    )


def _hearing() -> Finding:
    settings = AsrSettings.from_environment()
    engine = choose_engine(settings).engine
    missing = missing_steps(settings)
    if engine in OF_MANY_LANGUAGES and not missing:
        detail, verdict = "99 languages, by Whisper", Verdict.FINE
    elif engine == "whisper":
        detail, verdict = "none: the engine whisper cannot start", Verdict.MISSING
    elif engine in _ENGLISH_ONLY:
        detail, verdict = f"English only, by the engine {engine}", Verdict.OPTIONAL
    else:
        detail, verdict = f"those of the engine {engine}", Verdict.FINE
    return Finding(
        subject="speech understood in",
        verdict=verdict,
        detail=detail,
        remedy="" if verdict is Verdict.FINE else how_to_hear_more(settings),
    )


def _voices() -> list[Finding]:
    """Speaks a sentence with every engine, because only that shows which are fast enough here."""
    settings = TtsSettings.from_environment()
    if settings.engine != AUTO:
        return []
    book = asyncio.run(_opened_voices(settings))
    notes = book.notes()
    return [
        Finding(
            subject=f"voice for {language}",
            verdict=Verdict.FINE,
            detail=f"{best.name}; {notes[language]}" if language in notes else best.name,
        )
        for language in _SHOWN_LANGUAGES
        if (best := next(iter(book.speaking(language, field="language")), None)) is not None
    ]


async def _opened_voices(settings: TtsSettings) -> VoiceBook:
    engines: list[TtsEngine] = []
    for name in engine_names("tts"):
        with suppress(EngineUnavailableError, SettingsError):
            engine: TtsEngine = load_engine("tts", name, settings)
            await engine.open()
            if isinstance(engine, MeasuredEngine):
                await engine.warm_up()
            engines.append(engine)
    book = VoiceBook(engines, by_preference=True)
    for engine in engines:
        await engine.close()
    return book


def _engines() -> list[Finding]:
    return [
        Finding(
            subject=f"{stage} engines",
            verdict=Verdict.FINE if engine_names(stage) else Verdict.MISSING,
            detail=", ".join(engine_names(stage)) or "none",
            remedy="" if engine_names(stage) else "Install Anima again: make setup",
        )
        for stage in STAGES
    ]


def _recogniser() -> Finding:
    choice = choose_engine(AsrSettings.from_environment())
    return Finding(
        subject="recogniser",
        verdict=Verdict.FINE if choice.is_best else Verdict.OPTIONAL,
        detail=f"{choice.engine}: {choice.reason}",
        remedy="" if choice.is_best else f"anima models pull {BEST_MODEL}",
    )


def _ports() -> Finding:
    taken = taken_addresses(_default_layout())
    last = max(spec.default_port for spec in STAGES.values())
    free = f"8080 and {GATEWAY_PORT} to {last} are free"
    return Finding(
        subject="ports",
        verdict=Verdict.OPTIONAL if taken else Verdict.FINE,
        detail=f"in use: {', '.join(taken)}" if taken else free,
        remedy="A mesh may be running already; otherwise use anima up --http and --first-port."
        if taken
        else "",
    )


def _optional_extra(distribution: str, extra: str, purpose: str) -> Finding:
    try:
        detail = f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            subject=extra,
            verdict=Verdict.OPTIONAL,
            detail=purpose,
            remedy=f"pip install 'anima[{extra}]'",
        )
    return Finding(subject=extra, verdict=Verdict.FINE, detail=detail)


def _otlp() -> Finding:
    return _optional_extra(
        "opentelemetry-exporter-otlp-proto-grpc", "otlp", "sends traces to a collector"
    )


_CHECKS: Final[tuple[Callable[[], Finding | list[Finding]], ...]] = (
    _python,
    _settings,
    _disk,
    _memory,
    _stored_memories,
    _sandbox,
    _models,
    _flite,
    _hearing,
    _voices,
    _engines,
    _recogniser,
    _ports,
    _otlp,
)
_COLOURS: Final = {Verdict.FINE: "green", Verdict.OPTIONAL: "yellow", Verdict.MISSING: "bold red"}


def examine() -> list[Finding]:
    """Runs all checks."""
    findings: list[Finding] = []
    for check in _CHECKS:
        found = check()
        findings += found if isinstance(found, list) else [found]
        if any(each.subject == "settings" and each.verdict is Verdict.MISSING for each in findings):
            break  # every further check reads the settings
    return findings


def doctor() -> None:
    """Report what is missing on this machine and how to install it."""
    findings = examine()
    table = listing("", "what", "found", "to do")
    for finding in findings:
        table.add_row(
            f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]",
            escape(finding.subject),
            escape(finding.detail),
            escape(finding.remedy),
        )
    print_table(table)
    if missing := [each for each in findings if each.verdict is Verdict.MISSING]:
        console.print(f"[bold red]{len(missing)} missing.[/]")
        raise typer.Exit(1)
    console.print("Anima can run here.")
