"""`anima knowledge`: adds, lists, shows and removes the documents that answers cite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import grpc
import typer
from rich.markup import escape
from rich.progress import Progress, TaskID

from anima.memory import v1 as wire
from cli.console import console, fail, listing, print_table, progress, results, table_width
from cli.knowledge.names import AmbiguousError, NoDocumentError, place_of, table, the_one
from cli.knowledge.sending import send
from cli.knowledge.sources import Source, SourceError, sources
from cli.memory import Address, run
from memory.knowledge.reading.forms import FORMS
from services.runtime.errors import AnimaError, error_from_rpc

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

app = typer.Typer(
    help="Add, list, show and remove the documents that answers cite.", no_args_is_help=True
)

_TIMEOUT_S = 60.0
_PAGE = 500
_SHOWN_CHARS = 200
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)
_PHASES = {
    wire.DOCUMENT_PHASE_RECEIVING: "sending",
    wire.DOCUMENT_PHASE_READING: "reading",
    wire.DOCUMENT_PHASE_EMBEDDING: "embedding",
    wire.DOCUMENT_PHASE_STORING: "storing",
}
_CHANGES = {
    wire.DOCUMENT_CHANGE_ADDED: "added",
    wire.DOCUMENT_CHANGE_REPLACED: "replaced",
    wire.DOCUMENT_CHANGE_NONE: "unchanged",
}

User = Annotated[
    str, typer.Option("--user", help="Documents of one user only: a user id.", metavar="ID")
]
Persona = Annotated[
    str, typer.Option("--persona", help="Documents shared by a persona.", metavar="NAME")
]


def _owner(user: str, persona: str) -> wire.KnowledgeOwner:
    if bool(user) == bool(persona):
        fail(
            "specify exactly one owner of the documents.",
            remedy="Use --user ID for documents of one user, or --persona NAME for shared ones.",
        )
    return wire.KnowledgeOwner(user_id=user) if user else wire.KnowledgeOwner(persona=persona)


@dataclass
class _Summary:
    counts: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def show(self) -> None:
        told = [f"{count} {what}" for what, count in self.counts.items()]
        if self.failed:
            told.append(f"{len(self.failed)} failed")
        console.print(f"{', '.join(told)}.")
        for shown, why in self.failed:
            console.print(f"[bold red]{escape(shown)}[/]: {escape(why)}")


@app.command("add")
def add(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|URL...", help=f"What to add; file types: {' '.join(FORMS)}."
        ),
    ],
    user: User = "",
    persona: Persona = "",
    title: Annotated[
        str, typer.Option(help="The title for citations; default: the title in the file.")
    ] = "",
    memory: Address = None,
) -> None:
    """Add documents; unchanged documents are skipped, changed ones are replaced."""
    owner = _owner(user, persona)
    try:
        found = list(sources(targets))
    except SourceError as error:
        fail(str(error))
    if not found:
        fail("no documents found.", remedy=f"Supported file types: {' '.join(FORMS)}")
    if title and len(found) > 1:
        fail("--title is for one document.")
    summary = run(memory, lambda stub: _add_all(stub, owner, found, title))
    summary.show()
    if summary.failed:
        raise typer.Exit(1)


async def _add_all(
    stub: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner, found: Sequence[Source], title: str
) -> _Summary:
    summary = _Summary()
    with progress() as display:
        whole = display.add_task("documents", total=len(found))
        for source in found:
            task = display.add_task(escape(source.shown), total=None)
            try:
                change = await _add(stub, owner, source, title, display, task)
                summary.counts[change] = summary.counts.get(change, 0) + 1
            except (SourceError, AnimaError) as error:
                summary.failed.append((source.shown, str(error)))
            except grpc.aio.AioRpcError as error:
                if error.code() in _AWAY:
                    raise
                summary.failed.append((source.shown, error_from_rpc(error).message))
            display.remove_task(task)
            display.advance(whole)
    return summary


async def _add(
    stub: MemoryServiceAsyncStub,
    owner: wire.KnowledgeOwner,
    source: Source,
    title: str,
    display: Progress,
    task: TaskID,
) -> str:
    name, content = await asyncio.to_thread(source.load)
    config = wire.DocumentConfig(owner=owner, file_name=name, source_uri=source.uri, title=title)

    def report(told: wire.DocumentProgress) -> None:
        what = f"{escape(source.shown)} ({_PHASES.get(told.phase, '')})"
        display.update(task, description=what, completed=told.done, total=told.total or None)

    added = await send(stub, config, content, report)
    return _CHANGES.get(added.change, "added")


@app.command("list")
def list_(user: User = "", persona: Persona = "", memory: Address = None) -> None:
    """List documents by title."""
    owner = _owner(user, persona)
    documents = run(memory, lambda stub: _all(stub, owner))
    print_table(table(documents, table_width()))
    console.print(f"{_counted(len(documents), 'document')}.")


async def _all(stub: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner) -> list[wire.Document]:
    documents: list[wire.Document] = []
    request = wire.ListDocumentsRequest(owner=owner, page_size=_PAGE)
    while True:
        page = await stub.ListDocuments(request, timeout=_TIMEOUT_S)
        documents += page.documents
        if not page.next_page_token:
            return documents
        request.page_token = page.next_page_token


@app.command("show")
def show(
    document: Annotated[
        str, typer.Argument(help="Its title, file name or id; see `anima knowledge list`.")
    ],
    user: User = "",
    persona: Persona = "",
    memory: Address = None,
) -> None:
    """Show a document with the start of each passage, as found for answers."""
    owner = _owner(user, persona)

    async def passages(stub: MemoryServiceAsyncStub) -> tuple[wire.Document, list[wire.Passage]]:
        (held,) = _named(await _all(stub, owner), [document])
        found: list[wire.Passage] = []
        while len(found) < held.passage_count:
            request = wire.GetDocumentRequest(
                owner=owner,
                document_id=held.document_id,
                first_passage=len(found) + 1,
                max_passages=_PAGE,
            )
            some = (await stub.GetDocument(request, timeout=_TIMEOUT_S)).passages
            if not some:  # it was replaced meanwhile
                break
            found += some
        return held, found

    held, found = run(memory, passages)
    results.print(f"{escape(held.title)} ({held.media_type}, {held.size_bytes} bytes)")
    results.print(f"{escape(place_of(held) or '(no file)')}, SHA-256 {held.sha256}")
    passages_table = listing("number", "page", "heading", "text")
    for one in found:
        text = " ".join(one.text.split())
        shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
        where = one.citation
        passages_table.add_row(
            str(where.number), str(where.page or ""), escape(where.heading), escape(shown)
        )
    print_table(passages_table)


@app.command("remove")
def remove(
    documents: Annotated[
        list[str] | None, typer.Argument(help="Titles, file names or ids.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All documents.")] = False,
    user: User = "",
    persona: Persona = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    memory: Address = None,
) -> None:
    """Remove documents with all their passages; this cannot be undone."""
    owner = _owner(user, persona)
    if bool(documents) == everything:
        fail("no document given.", remedy="Give titles, files or ids, or use --everything.")
    held = run(memory, lambda stub: _all(stub, owner))
    gone = held if everything else _named(held, documents or [])
    names = ", ".join(one.title for one in gone[:5]) + (" and more" if len(gone) > 5 else "")
    if gone and not yes and not typer.confirm(f"Remove {names}?"):
        raise typer.Exit(1)

    async def erase(stub: MemoryServiceAsyncStub) -> int:
        count = 0
        for one in gone:
            request = wire.RemoveDocumentRequest(owner=owner, document_id=one.document_id)
            count += (await stub.RemoveDocument(request, timeout=_TIMEOUT_S)).passage_count
        return count

    count = run(memory, erase)
    documents_gone = _counted(len(gone), "document")
    console.print(f"{documents_gone} with {_counted(count, 'passage')} removed.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _named(held: Sequence[wire.Document], names: Sequence[str]) -> list[wire.Document]:
    found: list[wire.Document] = []
    for name in dict.fromkeys(names):
        try:
            found.append(the_one(held, name))
        except NoDocumentError:
            fail(f"unknown document {name}.", remedy="See: anima knowledge list")
        except AmbiguousError as error:
            fail(str(error), remedy="Use the id of one of them.")
    return found
