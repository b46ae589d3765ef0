"""`anima avatar`: from a file to an avatar, and the errors for unsuitable files."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from services.runtime.config.settings import ServiceSettings
from services.runtime.models.store import ModelStore
from tests.requirements import need

CONSENT = "A portrait by NASA, in the public domain."


@pytest.fixture
def photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    need("face-mesh")
    need("astronaut")
    models = ServiceSettings.from_environment().data_dir / "models"
    (tmp_path / "models").symlink_to(models, target_is_directory=True)
    monkeypatch.setenv("ANIMA_DATA_DIR", str(tmp_path))
    return ModelStore(models).path("astronaut") / "astronaut.png"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["avatar", *map(str, arguments)])


def said(result: Result) -> str:
    """Returns the output without the line breaks caused by the width of the screen."""
    return re.sub(r"\s+", " ", result.output)


def test_create_list_show_delete(photo: Path, tmp_path: Path) -> None:
    preview = tmp_path / "preview.png"
    made = run("create", photo, "--name", "eileen", "--consent", CONSENT, "--preview", preview)
    assert made.exit_code == 0, made.output
    assert "The mouth is slightly open" in said(made)
    picture = cv2.imread(str(preview))
    assert picture is not None
    assert picture.std() > 20
    assert "eileen" in run("list").output
    shown = said(run("show", "eileen"))
    assert CONSENT in shown
    assert "photo" in shown
    assert run("delete", "eileen").exit_code == 0
    assert "eileen" not in run("list").output
    assert run("show", "eileen").exit_code == 1


def test_a_name_that_is_taken(photo: Path) -> None:
    order = ("create", photo, "--name", "eileen", "--consent", CONSENT)
    assert run(*order).exit_code == 0
    again = run(*order)
    assert again.exit_code == 1
    assert "--replace" in said(again)
    assert run(*order, "--replace", "--size", "256x320").exit_code == 0
    assert "256 x 320" in said(run("show", "eileen"))


def test_faults_are_one_sentence(photo: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.jpg"
    note.write_text("not a picture")
    options = ("--name", "x", "--consent", CONSENT)
    for arguments, says in (
        ((note, *options), "send a JPEG, PNG or WebP picture"),
        ((tmp_path / "none.jpg", *options), "cannot be read"),
        ((photo, "--name", "x", "--consent", "yes"), "may be used"),
        ((photo, "--name", "X Y", "--consent", CONSENT), "config.name"),
        ((photo, *options, "--size", "wide"), "720x1280"),
        ((photo, *options, "--size", "513x512"), "must be even"),
        ((photo, "--name", "anima", "--consent", CONSENT), "of the installation"),
    ):
        result = run("create", *arguments)
        assert result.exit_code == 1, arguments
        assert says in said(result)
        assert "Traceback" not in result.output
    assert "cannot be deleted" in said(run("delete", "anima"))
    assert run("delete", "nobody").exit_code == 1
