from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import doctor
from cli.main import app


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300", **environment})
    return ended.exit_code, ended.output


def test_what_is_here_and_what_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = doctor.Finding(
        subject="a thing",
        verdict=doctor.Verdict.MISSING,
        detail="not [here]",
        remedy="pip install 'anima[otlp]'",
    )
    monkeypatch.setattr(doctor, "_CHECKS", (*doctor._CHECKS[:2], lambda: finding))
    code, printed = run("doctor")
    assert code == 1
    assert "Python" in printed
    assert "not [here]" in printed
    assert "pip install 'anima[otlp]'" in printed


@pytest.mark.parametrize("variable", ["ANIMA_CAPACITY", "ANIMA_TTS_CAPACITY", "ANIMA_TTS_CAPACTY"])
def test_a_wrong_setting_is_named_and_ends_the_examination(variable: str) -> None:
    code, printed = run("doctor", **{variable: "many"})
    assert code == 1
    assert variable in printed
    assert "disk" not in printed


@pytest.mark.parametrize(
    ("engine", "verdict", "restart"),
    [
        ("pocketsphinx", doctor.Verdict.OPTIONAL, "start Anima with ANIMA_ASR_ENGINE=auto"),
        ("auto", doctor.Verdict.OPTIONAL, "restart Anima"),
        ("whisper", doctor.Verdict.MISSING, "restart Anima"),
    ],
)
def test_languages_that_are_not_heard_come_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine: str,
    verdict: doctor.Verdict,
    restart: str,
) -> None:
    monkeypatch.setenv("ANIMA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ANIMA_ASR_ENGINE", engine)
    finding = doctor._hearing()
    assert finding.verdict is verdict
    assert finding.remedy.endswith(f"anima models pull whisper-base, then {restart}")


def test_a_model_of_the_operator_needs_no_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMA_ASR_ENGINE", "whisper")
    monkeypatch.setenv("ANIMA_ASR_WHISPER_MODEL", "/models/whisper-small")
    assert doctor._hearing().detail == "99 languages, by Whisper"


def test_every_finding_that_is_not_fine_says_what_to_do() -> None:
    for finding in doctor.examine():
        assert finding.detail
        assert bool(finding.remedy) == (finding.verdict is not doctor.Verdict.FINE), finding
