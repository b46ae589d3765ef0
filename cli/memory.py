"""`anima memory`: lists, exports, imports and erases the memories of a user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, TypeVar, cast

import grpc
import typer
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from rich.markup import escape

from anima.memory import v1 as wire
from cli import memory_store
from cli.console import console, fail, listing, print_table
from cli.mesh.record import target_of
from cli.refusals import CALLER, refusal
from memory.settings import MemorySettings
from services.runtime.calls.channels import open_channel
from services.runtime.identity.call_tokens import call_token
from services.runtime.process.private_files import make_private

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

app = typer.Typer(
    help="List, export, import and erase the memories of a user.", no_args_is_help=True
)

_TIMEOUT_S = 60.0
_IMPORT_BATCH = 50
_KINDS = {wire.ITEM_KIND_TURN: "turn", wire.ITEM_KIND_FACT: "fact"}
_SPEAKERS = {wire.SPEAKER_USER: "person", wire.SPEAKER_ASSISTANT: "anima"}

User = Annotated[str, typer.Argument(help="The user id of the conversations.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--memory",
        help="gRPC address of the memory service; default: the running mesh.",
        metavar="HOST:PORT",
    ),
]
T = TypeVar("T")


def run(address: str | None, work: Callable[[MemoryServiceAsyncStub], Awaitable[T]]) -> T:
    """Runs calls to the memory service; prints the reason and exits if they fail."""
    settings = MemorySettings.from_environment()
    target = target_of("memory", address, option="--memory", otherwise=settings.listen)

    async def connected() -> T:
        async with open_channel(target, token=call_token(settings, CALLER)) as channel:
            return await work(cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(channel)))

    try:
        return asyncio.run(connected())
    except grpc.aio.AioRpcError as error:
        problem, remedy = refusal(error, service="memory", target=target)
        fail(problem, remedy=remedy)


@app.command("list")
def list_(
    user: User,
    facts: Annotated[bool, typer.Option("--facts", help="Only facts.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    memory: Address = None,
) -> None:
    """List memories, newest first."""
    kinds = [wire.ITEM_KIND_FACT] if facts else []
    request = wire.ListRequest(user_id=user, page_size=limit, kinds=kinds)
    page = run(memory, lambda stub: stub.List(request, timeout=_TIMEOUT_S))
    table = listing("when", "kind", "who", "what", "holds until", "id")
    for item in page.items:
        table.add_row(
            _day(item.created_unix_ms),
            _KINDS.get(item.kind, "?") + (" (pinned)" if item.fact.pinned else ""),
            item.speaker_name or _SPEAKERS.get(item.speaker, ""),
            escape(item.text),
            _day(item.fact.valid_to_unix_ms),
            item.item_id,
        )
    print_table(table)
    console.print(f"{len(page.items)} of {page.total_count}.")


def _day(unix_ms: int) -> str:
    if not unix_ms:
        return ""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


@app.command("export")
def export(
    user: User,
    file: Annotated[typer.FileTextWrite, typer.Argument(help="The file to write; - for stdout.")],
    memory: Address = None,
) -> None:
    """Write all memories of a user as JSON Lines, oldest first."""
    count = run(memory, lambda stub: _write_all(stub, user, cast("IO[str]", file)))
    console.print(f"{count} items written.")


async def _write_all(stub: MemoryServiceAsyncStub, user: str, file: IO[str]) -> int:
    make_private(file)
    count = 0
    async for response in stub.Export(wire.ExportRequest(user_id=user)):
        file.write(MessageToJson(response.item, indent=None, ensure_ascii=False) + "\n")
        count += 1
    return count


@app.command("import")
def import_(
    user: User,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A file written by export.")
    ],
    memory: Address = None,
) -> None:
    """Import the output of `export`; existing items are not changed."""
    items = list(_items(file))
    if not items:
        fail(f"{file} has no items.")

    async def send(stub: MemoryServiceAsyncStub) -> wire.ImportResponse:
        return await stub.Import(_requests(user, items))

    response = run(memory, send)
    console.print(f"{response.received_count} items read, {response.stored_count} were new.")


def _items(file: Path) -> Iterator[wire.Item]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8 text.")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Parse(line, wire.Item())
        except ParseError as error:
            fail(f"{file}, line {number} is not an item: {error}")


async def _requests(user: str, items: list[wire.Item]) -> AsyncIterator[wire.ImportRequest]:
    for start in range(0, len(items), _IMPORT_BATCH):
        yield wire.ImportRequest(user_id=user, items=items[start : start + _IMPORT_BATCH])


@app.command("forget")
def forget(
    user: User,
    item_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids from `anima memory list`.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Everything stored about the user.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    memory: Address = None,
) -> None:
    """Erase items, or everything; this cannot be undone."""
    if bool(item_ids) == everything:
        fail("nothing to erase.", remedy="Give ids, or use --everything.")
    what = "everything" if everything else f"{len(item_ids or [])} items"
    if not yes and not typer.confirm(f"Erase {what} about {user}?"):
        raise typer.Exit(1)
    request = wire.ForgetRequest(user_id=user)
    if everything:
        request.everything = True
    else:
        request.items.item_ids.extend(item_ids or [])
    response = run(memory, lambda stub: stub.Forget(request, timeout=_TIMEOUT_S))
    console.print(f"{response.forgotten_count} items erased.")


app.command("migrate")(memory_store.migrate)
app.command("check")(memory_store.check)
app.command("encrypt")(memory_store.encrypt)
app.command("new-key")(memory_store.new_key)
