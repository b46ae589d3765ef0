"""What one person can do with the memory, documents and names of another one (A3)."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest

from anima.memory import v1 as memory
from services.runtime.calls.channels import open_channel
from tests.attack.attacked import Attacked, refusal
from tests.attack.test_documents import add
from tests.unit.identity.tokens import token

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300)]

ADA, BOB = "ada", "bob"


def stub_of(channel: Any) -> Any:
    return memory.MemoryServiceStub(channel)


def turn(text: str, *, item_id: str = "") -> memory.Item:
    return memory.Item(
        text=text, item_id=item_id, kind=memory.ITEM_KIND_TURN, speaker=memory.SPEAKER_USER
    )


async def left_of(stub: Any, user_id: str) -> list[str]:
    listed = await stub.List(memory.ListRequest(user_id=user_id, page_size=500))
    return sorted(item.item_id for item in listed.items)


def attempts(user_id: str, item_ids: list[str]) -> dict[str, Any]:
    """Returns a request of each kind that names a user, by its method."""
    owner = memory.KnowledgeOwner(user_id=user_id)
    return {
        "List": memory.ListRequest(user_id=user_id),
        "Recall": memory.RecallRequest(user_id=user_id, query="What is my PIN?"),
        "Remember": memory.RememberRequest(user_id=user_id, items=[turn("I am a liar.")]),
        "Forget": memory.ForgetRequest(user_id=user_id, everything=True),
        "Pin": memory.PinRequest(user_id=user_id, item_ids=item_ids, pinned=True),
        "Correct": memory.CorrectRequest(user_id=user_id, item_id=item_ids[0], value="x"),
        "ListDocuments": memory.ListDocumentsRequest(owner=owner),
        "SearchKnowledge": memory.SearchKnowledgeRequest(owner=owner, query="secret"),
        "PutPassages": memory.PutPassagesRequest(
            owner=owner, passages=[memory.Passage(passage_id="p", text="x")]
        ),
        "GetPassages": memory.GetPassagesRequest(owner=owner, passage_ids=["p"]),
        "RemovePassages": memory.RemovePassagesRequest(owner=owner, passage_ids=["p"]),
        "GetDocument": memory.GetDocumentRequest(owner=owner, document_id="a" * 64),
        "RemoveDocument": memory.RemoveDocumentRequest(owner=owner, document_id="a" * 64),
    }


async def test_nobody_acts_as_somebody_else(personal_mesh: Attacked) -> None:
    address = personal_mesh.address("memory")
    async with (
        open_channel(address, token=token(ADA)) as of_ada,
        open_channel(address, token=token(BOB)) as of_bob,
    ):
        ada, bob = stub_of(of_ada), stub_of(of_bob)
        stored = await ada.Remember(
            memory.RememberRequest(user_id=ADA, items=[turn("My PIN is 4711.")])
        )
        before = await left_of(ada, ADA)
        for method, request in attempts(ADA, list(stored.item_ids)).items():
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await getattr(bob, method)(request)
            code = refused.value.code()
            assert code is grpc.StatusCode.PERMISSION_DENIED, f"{method}: {refusal(refused.value)}"
        assert await left_of(ada, ADA) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/memory"), ("GET", "/v1/memory/export"), ("DELETE", "/v1/memory")],
)
async def test_nobody_names_somebody_else_in_a_header(
    personal_mesh: Attacked, method: str, path: str
) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.request(
            method,
            personal_mesh.url(path),
            headers={"authorization": f"Bearer {token(BOB)}", "anima-user-id": ADA},
        )
    assert answer.status_code == 403, answer.text


async def test_an_answer_uses_the_memory_of_its_own_user(personal_mesh: Attacked) -> None:
    async with open_channel(personal_mesh.address("memory"), token=token(ADA)) as channel:
        await stub_of(channel).Remember(
            memory.RememberRequest(user_id=ADA, items=[turn("My PIN is 4711.")])
        )
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        answer = await client.post(
            personal_mesh.url("/v1/ask?format=json"),
            json={"text": "What is my PIN?", "user_id": ADA},
            headers={"authorization": f"Bearer {token(BOB)}"},
        )
    assert answer.status_code == 403 or "4711" not in answer.text, answer.text


async def test_ids_of_another_user_open_nothing(open_mesh: Attacked) -> None:
    """Users of one household are kept apart by their ids, even where nobody checks who they are."""
    async with open_mesh.channel("memory") as channel:
        stub = stub_of(channel)
        items = [turn(f"I live in Rome, number {n}.") for n in range(60)]
        stored = await stub.Remember(memory.RememberRequest(user_id="house-a", items=items))
        ids = list(stored.item_ids)
        listed = await stub.List(memory.ListRequest(user_id="house-a", page_size=50))
        owner = memory.KnowledgeOwner(user_id="house-a")
        document_id = await add(stub, owner, "a.txt", b"The safe opens with 4711.")
        before = await left_of(stub, "house-a")

        other = memory.KnowledgeOwner(user_id="house-b")
        persona = memory.KnowledgeOwner(persona="house-a")
        await stub.Forget(
            memory.ForgetRequest(user_id="house-b", items=memory.ItemIds(item_ids=ids))
        )
        await stub.Pin(memory.PinRequest(user_id="house-b", item_ids=ids, pinned=True))
        await stub.Remember(
            memory.RememberRequest(user_id="house-b", items=[turn("Mine.", item_id=ids[0])])
        )
        refused = [
            stub.Correct(memory.CorrectRequest(user_id="house-b", item_id=ids[0], value="x")),
            stub.List(memory.ListRequest(user_id="house-b", page_token=listed.next_page_token)),
        ]
        for each in (other, persona):
            refused += [
                stub.GetDocument(
                    memory.GetDocumentRequest(owner=each, document_id=document_id, max_passages=5)
                ),
                stub.RemoveDocument(
                    memory.RemoveDocumentRequest(owner=each, document_id=document_id)
                ),
            ]
        for call in refused:
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        found = await stub.SearchKnowledge(
            memory.SearchKnowledgeRequest(owner=other, query="What opens the safe?")
        )
        assert not found.passages
        assert await left_of(stub, "house-a") == before
        kept = await stub.List(memory.ListRequest(user_id="house-a", page_size=500))
        assert not any(item.text == "Mine." for item in kept.items)
