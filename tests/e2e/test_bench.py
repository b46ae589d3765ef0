"""Each benchmark runs in its shortest form and prints plausible figures.

The size of the figures is not judged here, because it depends on the machine and its load. The soak
is in test_soak.py, because its command judges them.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import QUICK
from tests.requirements import ROOT, need
from text.normal import normal

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

NUMBER = r"(\d+(?:\.\d+)?)"


def bench(name: str, *arguments: str) -> str:
    """Runs a benchmark and returns its output."""
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def figures(pattern: str, text: str) -> list[float]:
    """Returns every number that the groups of a pattern matched."""
    return [float(each) for row in re.finditer(pattern, text) for each in row.groups()]


def test_tts() -> None:
    printed = bench("tts", *QUICK["tts"])
    rows = figures(rf"espeak +espeak-\S+ +{NUMBER} +{NUMBER}\n", printed)
    assert len(rows) == 2 * 3
    p50, longest = figures(rf"service, first audio ms: p50 {NUMBER}, max {NUMBER}", printed)
    assert 0 < p50 <= longest
    assert all(rows)


def test_asr() -> None:
    need("pocketsphinx-testdata")
    need("moonshine")
    printed = bench("asr", *QUICK["asr"])
    _, *engines = re.split(r"^(?=\w+, load average)", printed, flags=re.MULTILINE)
    told = [each for each in engines if each.startswith(("moonshine", "pocketsphinx"))]
    assert len(told) == 2
    for of_one in told:
        assert figures(rf"word error rate, all: {NUMBER} %", of_one) == [0.0]
        assert len(figures(rf"word error rate, all, \d+ dB over noise: {NUMBER} %", of_one)) == 2
        (started,) = figures(rf"to speech_started: p50 {NUMBER} ms", of_one)
        (guess,) = figures(rf"to end_guess: p50 {NUMBER} ms", of_one)
        (final,) = figures(rf"speech to final: p50 {NUMBER} ms", of_one)
        assert started > 0
        assert 0 < guess < final


@pytest.mark.long
def test_avatar() -> None:
    need("face-mesh")
    need("astronaut")
    printed = bench("avatar", *QUICK["avatar"])
    rows = figures(rf"\d+x\d+ +{NUMBER} +{NUMBER} +{NUMBER}\n", printed)
    assert len(rows) == 3 * 3 * 3
    assert all(rows)


def test_memory() -> None:
    need("encoder")
    printed = bench("memory", *QUICK["memory"])
    pair = rf"{NUMBER} / +{NUMBER}"
    row = figures(rf" 100 +{pair} +{pair} +{NUMBER} +{pair}\n", printed)
    remember, remember_p99, recall, recall_p99, _, encode, encode_p99 = row
    assert 0 < remember <= remember_p99
    assert 0 < recall <= recall_p99
    assert 0 < encode <= encode_p99


@pytest.mark.long
def test_memory_users() -> None:
    need("encoder")
    printed = bench("memory_users", "--users", "20", "--recalls", "4")
    p50, p99 = figures(rf"rebuilt: +{NUMBER} / +{NUMBER} ms", printed)
    assert 0 < p50 <= p99
    assert "20 users with 3 items" in printed
    assert ": bounded" in printed


def test_recall(tmp_path: Path) -> None:
    spoken = [
        {"dia_id": "D1:1", "speaker": "Ann", "text": "My cello is from Vienna."},
        {"dia_id": "D1:2", "speaker": "Bob", "text": "I planted tomatoes."},
    ]
    asked = [{"question": "Where is the cello from?", "evidence": ["D1:1"], "category": 4}]
    talk = {"session_1": spoken, "session_1_date_time": "1:56 pm on 8 May, 2023"}
    conversations = [{"conversation": talk, "qa": asked}] * 2
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(conversations))
    printed = bench("recalling.turns", str(file), "--words-only")
    row = rf" +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER}"
    assert figures(rf"all questions +2{row}", printed) == [100.0] * 4
    assert figures(rf"conversation 2 +1{row}", printed) == [100.0] * 4
    assert re.search("in the first person, without names +0 +no questions", printed)


def test_fit_mouth() -> None:
    module = ast.parse(bench("fit_mouth", "--sentences", "2"))
    names = {
        target.id
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    assert names == {"WEIGHTS", "BIAS", "CLOSURE_WEIGHTS", "CLOSURE_BIAS"}


@pytest.mark.long
def test_mesh() -> None:
    need("encoder")
    printed = bench("mesh", *QUICK["mesh"])
    asked = re.findall(r"'What can you do\?' -> '(.*)'", printed)
    assert {normal(heard) for heard in asked} == {"what can you do"}
    rows = figures(rf"first synced frame │ {NUMBER} │ {NUMBER} │ {NUMBER}", printed)
    assert len(rows) == 3 * len(asked)
    for first in range(0, len(rows), 3):
        assert rows[first] == rows[first + 1] == rows[first + 2] > 0
    assert printed.count("first synced frame after the end of speech, p50, s:") == len(asked)
    ready = figures(rf"│ \w+ +│ {NUMBER} +│ {NUMBER} +│\n", printed)
    assert len(ready) == 2 * 6
    assert all(ready)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_orchestration() -> None:
    printed = bench("orchestration", "--sessions", "1", "--repeats", "1", "--no-goals")
    for who in ("Anima", "bare forwarder"):
        first, over, p95, done, _ = figures(
            rf"{who} +│ {NUMBER} +│ \+{NUMBER} +│ {NUMBER} +│ {NUMBER} +│ \+{NUMBER} %", printed
        )
        assert first - over == pytest.approx(340, abs=0.2)
        assert first <= p95 < done
    assert figures(rf"stale audio, n=1, messages: {NUMBER}", printed) == [0]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_floods() -> None:
    need("encoder")
    printed = bench(
        "floods",
        *("--rounds", "1", "--seconds", "2", "--idle", "100", "--half-heads", "20"),
        *("--silent", "10", "--no-goals"),
    )
    rows = figures(
        rf"│ (?:without|with floods|all floods) +│ {NUMBER} +│ {NUMBER} +│ {NUMBER} +│ {NUMBER} +│",
        printed,
    )
    assert len(rows) == 3 * 4
    questions, _, frames, late_percent = rows[:4]
    assert questions >= 4
    assert frames > 0
    assert 0 <= late_percent <= 100
    peaks = figures(rf"│ gateway +│ {NUMBER} +│ {NUMBER} +│ {NUMBER} +│", printed)
    assert all(peaks)
    assert figures(rf"gateway CPU, ratio: {NUMBER}", printed)[0] > 0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_chaos() -> None:
    need("encoder")
    printed = bench("chaos", "--answers", "6", "--at-a-time", "3", "--seed", "7")
    assert "afterwards: 6 questions: 6 whole" in printed
    assert printed.strip().endswith("nothing leaked")
