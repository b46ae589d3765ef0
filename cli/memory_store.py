"""`anima memory migrate`, `check`, `encrypt` and `new-key`: for a store that is not in use."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from cli.console import console, fail, listing, print_table, results
from memory.service.faults import StoreError
from memory.settings import MemorySettings
from memory.sqlite.checking import faults
from memory.sqlite.encryption import read_key, write_new_key
from services.runtime.errors import AnimaError

if TYPE_CHECKING:
    from memory.postgres.moving import Moved
    from memory.postgres.store import PostgresStore
    from memory.sqlite.store import Store

_CONNECTIONS = 3


def migrate(
    source: Annotated[
        Path, typer.Option("--from", exists=True, file_okay=False, help="The data folder.")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            envvar="ANIMA_MEMORY_POSTGRES",
            help="The database; use the variable to keep the password out of the process list.",
            metavar="postgresql://USER:PASSWORD@HOST/NAME",
        ),
    ],
) -> None:
    """Move all memories from the data folder to PostgreSQL; resumes where it was interrupted."""
    try:
        # asyncpg comes with the extra `postgres`.
        from memory.postgres import moving
        from memory.postgres.store import PostgresStore
    except ImportError as error:
        fail(f"{error}", remedy="pip install 'anima[postgres]'")
    from memory.sqlite.store import Store  # only now: other commands need no store

    folder = source / "memory"
    if not (folder / "memory.db").is_file():
        fail(f"{folder} has no memory.db.")
    try:
        held = Store(folder, key=MemorySettings.from_environment().encryption_key())
        try:
            database = PostgresStore(target, connections=_CONNECTIONS)
            try:
                moved = _moved(moving, held, database)
            finally:
                database.close()
        finally:
            held.close()
    except (StoreError, AnimaError) as error:
        fail(str(error), remedy="Moved data stays there; run the same command to resume.")
    table = listing("table", "rows", "SHA-256 on both sides")
    for one in moved:
        table.add_row(one.table, str(one.rows), one.sha256[:16])
    print_table(table)
    console.print("Set ANIMA_MEMORY_ENGINE=postgres, then start the memory service.")


def _moved(moving: ModuleType, source: Store, target: PostgresStore) -> list[Moved]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = progress.add_task(table)
            progress.update(tasks[table], completed=done, total=total)

        moved: list[Moved] = moving.move(source, target, show)
        return moved


def check() -> None:
    """Check all pages of the store; the memory service must be stopped."""
    from memory.sqlite.store import Store  # only now: other commands need no store

    settings = MemorySettings.from_environment()
    folder = settings.data_dir / "memory"
    if settings.engine != "sqlite":
        fail(f"the engine {settings.engine} keeps no file here.", remedy="Ask its server.")
    if not (folder / "memory.db").is_file():
        fail(f"{folder} contains no memory.db.")
    try:
        store = Store(folder, key=settings.encryption_key(), check_s=0)
        try:
            with store.reading() as connection:
                found = faults(connection)
        finally:
            store.close()
    except StoreError as error:
        fail(str(error))
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    if found:
        for fault in found:
            results.print(fault, markup=False)
        fail(f"{folder / 'memory.db'} is damaged.", remedy="Put back a copy.")
    console.print(f"{folder / 'memory.db'} is sound.")


def new_key(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
) -> None:
    """Create a key for the memory's database. If the key is lost, the memories are lost."""
    try:
        write_new_key(file)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    console.print(
        f"The key is in {file}. Keep a copy elsewhere: without it the memory cannot be read."
    )


def encrypt(
    new_key_file: Annotated[
        Path | None,
        typer.Option("--new-key-file", help="The new key, from `anima memory new-key`."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Remove the encryption.")] = False,
) -> None:
    """Encrypt the store or change its key; ANIMA_MEMORY_KEY_FILE names the current key."""
    from memory.sqlite.reencryption import reencrypt  # only now: other commands need no store

    if (new_key_file is None) != plain:
        fail("no key given.", remedy="Use --new-key-file FILE, or --plain.")
    settings = MemorySettings.from_environment()
    folder = settings.data_dir / "memory"
    try:
        new = None if new_key_file is None else read_key(new_key_file)
        count = reencrypt(folder, settings.encryption_key(), new)
    except ValueError as error:
        fail(str(error))
    except StoreError as error:
        fail(str(error), remedy="Nothing was changed.")
    except OSError as error:
        fail(f"{folder} cannot be written: {error.strerror}", remedy="Nothing was changed.")
    console.print(f"{count} items rewritten in {folder}.")
    if new_key_file is None:
        console.print("Start the memory without ANIMA_MEMORY_KEY_FILE.")
    else:
        console.print(f"Start the memory with ANIMA_MEMORY_KEY_FILE={new_key_file}.")
