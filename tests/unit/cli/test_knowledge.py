"""`anima knowledge` against a memory service on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from typer.testing import CliRunner, Result

from anima.memory import v1 as wire
from cli.knowledge.sending import send
from cli.main import app
from memory.knowledge.receiving import MAX_FILE_BYTES
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.server import serving
from tests.documents import HEADINGS, pdf

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    settings = MemorySettings(
        listen="127.0.0.1:0", data_dir=tmp_path / "data", embedding_model="none"
    )
    async with serving(build(settings), settings) as server:
        await server.ready
        yield server.address


async def anima(
    address: str, *arguments: str, whose: tuple[str, str] = ("--user", "ada")
) -> Result:
    """Runs the command in a thread: it has an event loop of its own."""
    runner = CliRunner(env={"COLUMNS": "300"})
    call = ["knowledge", *arguments, *whose, "--memory", address]
    return await asyncio.to_thread(lambda: runner.invoke(app, call))


async def test_a_folder_is_added_changed_and_removed(address: str, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "handbook.pdf").write_bytes(pdf(title="Staff [b]handbook", headings=HEADINGS))
    (folder / "deep" / "note.md").write_text("# Pool\n\nThe pool closes at nine.")
    (folder / ".hidden.md").write_text("# No")
    (folder / "picture.png").write_bytes(b"x")
    (folder / "scan.pdf").write_bytes(pdf([[]]))

    result = await anima(address, "add", str(folder))
    assert result.exit_code == 1
    assert "2 added, 1 failed." in result.stderr
    assert "scan.pdf: scan.pdf cannot be added: its pages have no text" in result.stderr
    (folder / "scan.pdf").unlink()
    result = await anima(address, "add", str(folder))
    assert (result.exit_code, "2 unchanged." in result.stderr) == (0, True)

    result = await anima(address, "list")
    assert "Staff [b]handbook" in result.stdout
    assert "Pool" in result.stdout
    assert "2 documents." in result.stderr
    assert "0 documents." in (await anima(address, "list", whose=("--persona", "ada"))).stderr
    result = await anima(address, "show", "Staff [b]handbook")
    assert "27 days" in result.stdout
    assert "Holidays" in result.stdout

    (folder / "deep" / "note.md").write_text("# Pool\n\nThe pool closes at ten.")
    result = await anima(address, "add", str(folder))
    assert "1 replaced" in result.stderr
    assert "ten" in (await anima(address, "show", "Pool")).stdout

    result = await anima(address, "remove", "Pool", "--yes")
    assert "1 document with 1 passage removed." in result.stderr
    result = await anima(address, "remove", "--everything", "--yes")
    assert result.exit_code == 0
    assert "0 documents." in (await anima(address, "list")).stderr


async def test_a_file_that_is_there_is_not_sent_and_leaves_nothing_running(address: str) -> None:
    owner = wire.KnowledgeOwner(user_id="ada")
    told: list[wire.DocumentProgress] = []
    async with open_channel(address) as channel:
        stub = cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel))
        changes = []
        for _ in range(2):
            config = wire.DocumentConfig(owner=owner, file_name="a.txt")
            changes.append((await send(stub, config, b"The pool.", told.append)).change)
            phases = {one.phase for one in told}
            told.clear()
    assert changes == [wire.DOCUMENT_CHANGE_ADDED, wire.DOCUMENT_CHANGE_NONE]
    assert phases == set()
    assert not [task for task in asyncio.all_tasks() if "consume_request" in repr(task)]


async def test_a_title_can_be_given(address: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("The pool closes at nine.")
    await anima(address, "add", str(file), "--title", "Pool rules")
    assert "Pool rules" in (await anima(address, "list")).stdout
    result = await anima(address, "add", str(file), "--title", "Rules of the pool")
    assert "1 replaced" in result.stderr


async def test_documents_are_found_by_their_files_and_told_apart(
    address: str, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(f"The pool number {folder} closes at nine.")
    (tmp_path / "fm.md").write_text("# Front matter\n\nThe preface is short.")
    await anima(address, "add", str(tmp_path))
    assert "preface" in (await anima(address, "show", "fm")).stdout
    both = await anima(address, "show", "a")
    assert both.exit_code == 1
    for folder in ("one", "two"):
        assert str(tmp_path / folder / "a.txt") in both.stderr
        shown = await anima(address, "show", str(tmp_path / folder / "a.txt"))
        assert f"number {folder}" in shown.stdout
    removed = await anima(address, "remove", "fm.md", "--yes")
    assert "1 document with" in removed.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("add", "nothing.txt"), "is not a file, a folder or a URL"),
        (("add", "ftp://host/a.txt"), "only http and https"),
        (("add", "."), "no documents found"),
        (("show", "nothing"), "unknown document nothing"),
        (("remove",), "no document given"),
    ],
)
async def test_what_cannot_be_done_is_said(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = await anima(address, *arguments)
    assert result.exit_code == 1
    assert problem in result.stderr


async def test_the_owner_must_be_named(address: str) -> None:
    for whose in ((), ("--user", "a", "--persona", "b")):
        runner = CliRunner()
        result = runner.invoke(app, ["knowledge", "list", *whose, "--memory", address])
        assert result.exit_code == 1
        assert "--user ID" in result.stderr


async def test_a_mesh_that_is_away_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Text.")
    result = await anima("127.0.0.1:1", "add", str(tmp_path / "a.txt"))
    assert result.exit_code == 1
    assert "anima up" in result.stderr


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page")
            self.end_headers()
            return
        if self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
            return
        types = {"/page": "text/html; charset=utf-8", "/large.txt": "text/plain"}
        if self.path not in types and self.path != "/picture":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", types.get(self.path, "image/png"))
        self.end_headers()
        if self.path == "/page":
            self.wfile.write(b"<title>Pool</title><p>The pool closes at nine.")
            return
        try:
            for _ in range(MAX_FILE_BYTES // (1 << 20) + 1):
                self.wfile.write(b"x" * (1 << 20))
        except ConnectionError:
            pass  # the reader stops, as it should

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_pages_of_the_web_are_fetched_within_limits(address: str, site: str) -> None:
    result = await anima(address, "add", f"{site}/moved")
    assert "1 added." in result.stderr, result.stderr
    assert f"{site}/moved" in (await anima(address, "list")).stdout
    assert "closes at nine" in (await anima(address, "show", "Pool")).stdout
    paths = ("/none", "/picture", "/large.txt", "/loop")
    result = await anima(address, "add", *(f"{site}{path}" for path in paths))
    assert result.exit_code == 1
    for why in ("answered 404", "its type image/png", "larger than 32 MiB", "redirect"):
        assert why in result.stderr, result.stderr
