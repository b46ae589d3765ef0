"""Commands are imported when they run; what help says of them is what they say themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.main import Commands, app

HEAVY = ("numpy", "grpc", "av", "cv2", "gateway", "memory", "services.runtime.config.settings")


def imported(*arguments: str) -> str:
    code = (
        "import sys; from cli.main import app\n"
        "try: app()\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("nonsense",)])
def test_help_imports_no_service(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) == "[]"


@pytest.mark.parametrize("name", list(Commands.commands_by_name))
def test_a_command_says_of_itself_what_the_list_says(name: str) -> None:
    help_ = CliRunner(env={"COLUMNS": "300"}).invoke(app, [name, "--help"])
    assert help_.exit_code == 0
    assert f"Usage: anima {name}" in help_.output
    assert Commands.commands_by_name[name].help in help_.output


def test_an_unknown_command_is_an_error_with_the_nearest() -> None:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["knowlege"])
    assert result.exit_code == 2
    assert "knowledge" in result.output


def test_h_helps_everywhere() -> None:
    for arguments in (["-h"], ["memory", "-h"], ["memory", "list", "-h"], ["ask", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
