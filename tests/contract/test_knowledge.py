"""Conformance suite of memory services with a knowledge base, over gRPC alone."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.protobuf.message import Message

from anima.memory import v1 as wire
from services.runtime.errors import FailedPrecondition, InvalidRequest, NotFound, error_from_rpc
from tests.documents import HEADINGS, added, pdf, word

if TYPE_CHECKING:  # this name is in the stubs' types only
    from anima.memory.v1.memory_pb2_grpc import MemoryServiceAsyncStub

HOLIDAY = b"# Handbook\n\n## Holidays\n\nEach employee gets 27 days of paid holiday per year.\n"
OFFICE = b"The office in Graz is open from seven in the morning.\n"


@pytest.fixture
def memory(memory_channel: grpc.aio.Channel) -> MemoryServiceAsyncStub:
    return cast("MemoryServiceAsyncStub", wire.MemoryServiceStub(memory_channel))


@pytest.fixture
def owner() -> wire.KnowledgeOwner:
    # An external service may already hold other users.
    return wire.KnowledgeOwner(user_id=f"test-{uuid.uuid4().hex}")


async def found(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner, query: str, **fields: Any
) -> list[wire.RecalledPassage]:
    request = wire.SearchKnowledgeRequest(owner=owner, query=query, **fields)
    return list((await memory.SearchKnowledge(request)).passages)


async def titles(memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner) -> list[str]:
    response = await memory.ListDocuments(wire.ListDocumentsRequest(owner=owner))
    return [document.title for document in response.documents]


async def put(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner, *passages: wire.Passage
) -> list[str]:
    request = wire.PutPassagesRequest(owner=owner, passages=passages)
    return list((await memory.PutPassages(request)).passage_ids)


async def test_a_document_is_found_with_what_is_needed_to_cite_it(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    file = pdf(title="Staff handbook", headings=HEADINGS)
    result, progress = await added(
        memory, owner, "handbook.pdf", file, source_uri="file:///srv/handbook.pdf"
    )
    document = result.document
    assert result.change == wire.DOCUMENT_CHANGE_ADDED
    assert (document.title, document.page_count, document.size_bytes) == (
        "Staff handbook",
        3,
        len(file),
    )
    assert document.sha256 == hashlib.sha256(file).hexdigest()
    assert document.media_type == "application/pdf"
    phases = [one.phase for one in progress]
    assert phases == sorted(phases)
    assert set(phases) == {1, 2, 3, 4}

    best = (await found(memory, owner, "How many days of holiday do I get?"))[0]
    assert "27 days" in best.passage.text
    citation = best.passage.citation
    assert citation == wire.Citation(
        document_id=document.document_id,
        title="Staff handbook",
        source_uri="file:///srv/handbook.pdf",
        heading="Holidays",
        page=2,
        number=2,
    )
    shown = await memory.GetDocument(
        wire.GetDocumentRequest(
            owner=owner, document_id=document.document_id, first_passage=2, max_passages=1
        )
    )
    assert shown.document == document
    assert list(shown.passages) == [best.passage]


FORMS = {
    "a.txt": b"Opening hours\n\nThe pool closes at nine in the evening.",
    "a.md": b"# Rules\n\n* Bring a towel.\n* The pool closes at nine in the evening.\n",
    "a.html": b"<body><nav>x</nav><h1>Rules</h1><p>The pool closes at nine in the evening.",
    "a.pdf": pdf([["The pool closes at nine in the evening."]]),
    "a.docx": word(("Heading 1", "Rules"), ("Normal", "The pool closes at nine.")),
}


async def test_each_form_is_read(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    for name, content in FORMS.items():
        result, _ = await added(memory, owner, name, content)
        assert result.document.passage_count, name
    texts = [one.passage.text for one in await found(memory, owner, "pool", max_passages=10)]
    assert sum("pool closes at nine" in text for text in texts) == len(FORMS)


async def test_the_same_file_again_changes_nothing(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    first, _ = await added(memory, owner, "a.md", HOLIDAY)
    again, _ = await added(memory, owner, "a.md", HOLIDAY)
    assert (again.change, again.document) == (wire.DOCUMENT_CHANGE_NONE, first.document)
    # A client that knows the hash need not send the file.
    unsent, progress = await added(memory, owner, "a.md", b"", sha256=first.document.sha256)
    assert (unsent.change, progress) == (wire.DOCUMENT_CHANGE_NONE, [])
    assert len(await found(memory, owner, "holiday")) == 1


async def test_a_changed_file_takes_the_place_of_the_old_one(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    old, _ = await added(memory, owner, "a.md", HOLIDAY)
    new, _ = await added(memory, owner, "a.md", HOLIDAY.replace(b"27", b"30"))
    assert new.change == wire.DOCUMENT_CHANGE_REPLACED
    assert new.document.document_id != old.document.document_id
    texts = [one.passage.text for one in await found(memory, owner, "days of holiday")]
    assert texts == ["Each employee gets 30 days of paid holiday per year."]
    # A file that cannot be read leaves the old one unchanged.
    with pytest.raises(grpc.aio.AioRpcError):
        await added(memory, owner, "a.md", b"\xff\xfe\x00broken")
    assert len(await found(memory, owner, "days of holiday")) == 1


async def test_removing_removes_all_of_it(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    result, _ = await added(memory, owner, "a.md", HOLIDAY)
    await added(memory, owner, "b.txt", OFFICE)
    assert await titles(memory, owner) == ["Handbook", "b"]
    request = wire.RemoveDocumentRequest(owner=owner, document_id=result.document.document_id)
    assert (await memory.RemoveDocument(request)).passage_count == 1
    assert await titles(memory, owner) == ["b"]
    assert all("27" not in one.passage.text for one in await found(memory, owner, "holiday 27"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await memory.RemoveDocument(request)
    assert isinstance(error_from_rpc(refused.value), NotFound)


async def test_forgetting_a_person_takes_their_documents_along(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    await added(memory, owner, "a.md", HOLIDAY)
    await memory.Forget(wire.ForgetRequest(user_id=owner.user_id, everything=True))
    assert await titles(memory, owner) == []
    assert await found(memory, owner, "holiday") == []


async def test_nobody_sees_the_documents_of_another(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    result, _ = await added(memory, owner, "a.md", HOLIDAY)
    (loose,) = await put(memory, owner, wire.Passage(text="Holiday is booked in the portal."))
    # A persona of the same name is a different owner.
    for other in (
        wire.KnowledgeOwner(user_id=f"{owner.user_id}x"),
        wire.KnowledgeOwner(persona=owner.user_id),
    ):
        assert await titles(memory, other) == []
        assert await found(memory, other, "holiday") == []
        ids = [loose, f"{result.document.document_id}.1"]
        got = await memory.GetPassages(wire.GetPassagesRequest(owner=other, passage_ids=ids))
        assert list(got.passages) == []
        removed = await memory.RemovePassages(
            wire.RemovePassagesRequest(owner=other, passage_ids=[loose])
        )
        assert removed.removed_count == 0
        for call, request in (
            (memory.GetDocument, wire.GetDocumentRequest),
            (memory.RemoveDocument, wire.RemoveDocumentRequest),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await cast(Any, call)(request(owner=other, document_id=result.document.document_id))
            assert isinstance(error_from_rpc(refused.value), NotFound)
    assert len(await found(memory, owner, "holiday")) == 2


async def test_recall_brings_passages_of_the_person_and_of_the_persona(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    persona = f"p-{uuid.uuid4().hex[:12]}"
    await added(memory, owner, "a.md", HOLIDAY)
    await added(memory, wire.KnowledgeOwner(persona=persona), "b.txt", OFFICE)

    async def recalled(query: str, **fields: Any) -> list[str]:
        response = await memory.Recall(wire.RecallRequest(query=query, **fields))
        return [one.passage.citation.title for one in response.passages]

    user = owner.user_id
    hours = "When does the office in Graz open?"
    assert await recalled(hours, user_id=user, persona=persona, max_passages=3) == ["b"]
    assert await recalled(hours, user_id=user, max_passages=3) == []
    assert await recalled(hours, persona=persona, max_passages=3) == ["b"]
    days = "How many days of holiday does an employee get?"
    assert await recalled(days, user_id=user, persona=persona, max_passages=3) == ["Handbook"]
    # A client that requests no passages gets none, and small talk needs none.
    assert await recalled(days, user_id=user, persona=persona) == []
    assert await recalled("Hello!", user_id=user, persona=persona, max_passages=3) == []


async def test_documents_are_listed_in_pages(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    for name in ("c.txt", "a.txt", "b.txt"):
        await added(memory, owner, name, OFFICE, source_uri=f"file:///{name}")
    listed: list[str] = []
    token = ""
    for _ in range(3):
        page = await memory.ListDocuments(
            wire.ListDocumentsRequest(owner=owner, page_size=1, page_token=token)
        )
        listed += [document.title for document in page.documents]
        assert page.total_count == 3
        token = page.next_page_token
    assert (listed, token) == (["a", "b", "c"], "")


async def test_passages_can_be_put_changed_and_taken_out(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    one = wire.Passage(passage_id="one", text="foo", metadata_json='{"n": 1}')
    two = wire.Passage(text="bar")
    ids = await put(memory, owner, one, two)
    assert ids[0] == "one"
    two.passage_id = ids[1]
    request = wire.GetPassagesRequest(owner=owner, passage_ids=[ids[1], "nothing", "one"])
    assert list((await memory.GetPassages(request)).passages) == [two, one]
    one.text = "quux"
    await put(memory, owner, one)
    assert list((await memory.GetPassages(request)).passages) == [two, one]
    hits = await found(memory, owner, "quux")
    assert hits[0].passage == one
    assert len(hits) == 2  # the best ones, whether or not they fit
    removing = wire.RemovePassagesRequest(owner=owner, passage_ids=["one", "nothing"])
    assert (await memory.RemovePassages(removing)).removed_count == 1
    assert list((await memory.GetPassages(request)).passages) == [two]


async def test_a_passage_of_a_document_is_not_put_or_taken_out_alone(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    result, _ = await added(memory, owner, "a.md", HOLIDAY)
    passage_id = f"{result.document.document_id}.1"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await put(memory, owner, wire.Passage(passage_id=passage_id, text="Other."))
    assert isinstance(error_from_rpc(refused.value), InvalidRequest)
    removing = wire.RemovePassagesRequest(owner=owner, passage_ids=[passage_id])
    assert (await memory.RemovePassages(removing)).removed_count == 0
    assert "27" in (await found(memory, owner, "holiday"))[0].passage.text


UNREADABLE = (
    ("a.pdf", pdf(password="secret"), "encrypted: save a copy without a password"),
    ("a.pdf", pdf([[]]), "a scan: run OCR"),
    ("a.pdf", pdf()[:400], "damaged PDF"),
    ("a.pdf", b"only text", "not a PDF"),
    ("a.txt", pdf(), "a PDF under another name"),
    ("a.docx", b"only text", "damaged DOCX"),
    ("a.txt", b"caf\xe9", "not UTF-8"),
    ("a.html", b"<p></p>", "no text"),
    ("a.exe", b"MZ", "supported endings: .txt"),
)


async def test_what_cannot_be_read_is_refused_with_a_sentence(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    for name, content, why in UNREADABLE:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await added(memory, owner, name, content)
        error = error_from_rpc(refused.value)
        assert isinstance(error, FailedPrecondition), error
        assert error.message.startswith(f"{name} cannot be added: "), error.message
        assert why in error.message, error.message
    assert await titles(memory, owner) == []


OWNER = wire.KnowledgeOwner(user_id="u")


BAD_REQUESTS: tuple[tuple[str, Message, str], ...] = (
    ("ListDocuments", wire.ListDocumentsRequest(), "owner"),
    (
        "ListDocuments",
        wire.ListDocumentsRequest(owner=wire.KnowledgeOwner(persona="a b")),
        "owner.persona",
    ),
    ("ListDocuments", wire.ListDocumentsRequest(owner=OWNER, page_size=501), "page_size"),
    ("ListDocuments", wire.ListDocumentsRequest(owner=OWNER, page_token="x"), "page_token"),
    ("GetDocument", wire.GetDocumentRequest(owner=OWNER), "document_id"),
    ("RemoveDocument", wire.RemoveDocumentRequest(document_id="x"), "owner"),
    ("PutPassages", wire.PutPassagesRequest(owner=OWNER), "passages"),
    (
        "PutPassages",
        wire.PutPassagesRequest(owner=OWNER, passages=[wire.Passage(text=" ")]),
        "passages[0].text",
    ),
    (
        "PutPassages",
        wire.PutPassagesRequest(
            owner=OWNER, passages=[wire.Passage(text="a", metadata_json="[1]")]
        ),
        "passages[0].metadata_json",
    ),
    ("GetPassages", wire.GetPassagesRequest(owner=OWNER), "passage_ids"),
    ("SearchKnowledge", wire.SearchKnowledgeRequest(owner=OWNER), "query"),
    ("Recall", wire.RecallRequest(query="x"), "user_id"),
    ("Recall", wire.RecallRequest(query="x", user_id="u", max_passages=51), "max_passages"),
)


async def test_bad_requests_name_the_field(memory: MemoryServiceAsyncStub) -> None:
    for method, request, field in BAD_REQUESTS:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(memory, method)(request)
        error = error_from_rpc(refused.value)
        assert isinstance(error, InvalidRequest), error
        assert error.message.startswith(f"{field}:"), error.message


async def test_a_bad_stream_names_the_field(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    for fields, field in (
        ({"file_name": ""}, "config.file_name"),
        ({"file_name": "a.txt", "sha256": "x"}, "config.sha256"),
        ({"file_name": "a.txt", "sha256": "0" * 64}, "config.sha256"),
        ({"file_name": "a.txt", "content": b""}, "content"),
    ):
        arguments: dict[str, Any] = {"content": OFFICE, **fields}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await added(memory, owner, **arguments)
        error = error_from_rpc(refused.value)
        assert isinstance(error, InvalidRequest)
        assert error.message.startswith(f"{field}:"), error.message
    assert await titles(memory, owner) == []


async def test_names_and_titles_are_one_line_without_hidden_characters(
    memory: MemoryServiceAsyncStub, owner: wire.KnowledgeOwner
) -> None:
    name, title = "x\r\ny: z\u202e.txt", "Staff\n[evil]\u2066 handbook\x1b"
    result, _ = await added(memory, owner, name, OFFICE, title=title, source_uri="a\nb\u202e")
    assert result.document.title == "Staff [evil] handbook"
    assert result.document.source_uri == "a b"
    (first, *_) = await found(memory, owner, "When does the office in Graz open?")
    assert first.passage.citation.title == "Staff [evil] handbook"
    again, _ = await added(memory, owner, name, OFFICE, title=title, source_uri="a\nb\u202e")
    assert again.change == wire.DOCUMENT_CHANGE_NONE
    bad = wire.KnowledgeOwner(user_id="ada\u202e")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await memory.ListDocuments(wire.ListDocumentsRequest(owner=bad))
    assert "owner.user_id: contains a line break" in str(caught.value.details())
