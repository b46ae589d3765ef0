from __future__ import annotations

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


def test_every_finding_that_is_not_fine_says_what_to_do() -> None:
    for finding in doctor.examine():
        assert finding.detail
        assert bool(finding.remedy) == (finding.verdict is not doctor.Verdict.FINE), finding
