"""Places: a share for each caller, and none for who does not need it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from anima.memory.v1 import AddDocumentRequest, DocumentConfig, KnowledgeOwner, MemoryServiceStub
from memory.servicer import build
from memory.settings import MemorySettings
from services.runtime.calls.admission import Admission
from services.runtime.calls.channels import open_channel
from services.runtime.errors import AnimaError, Busy, DeadlineExceeded, error_from_rpc
from services.runtime.identity.caller import Identity, Mode, Role
from services.runtime.limits import progress
from services.runtime.limits.callers import counted_as
from services.runtime.server import serving
from tests.unit.identity.tokens import key_file, token
from tests.unit.runtime.tiny_service import open_tiny_stream, tiny_server, tiny_stub


class Idler:
    """Holds a place for a given time without need."""

    def __init__(self, overdue_s: float) -> None:
        self.overdue_s = overdue_s
        self.error: Exception | None = None

    def end(self, error: Exception) -> None:
        self.error = error


@contextmanager
def held(admission: Admission, *idlers: Idler, caller: str | None = None) -> Iterator[None]:
    with ExitStack() as stack:
        for idler in idlers:
            stack.enter_context(admission.place(caller=caller)).holder = idler
        yield


def refusal(admission: Admission, caller: str | None = None) -> Busy:
    with pytest.raises(Busy) as caught, admission.place(caller=caller):
        pass
    assert caught.value.retry_after_ms
    return caught.value


def test_one_caller_has_half_of_the_places() -> None:
    admission = Admission(5)
    with held(admission, *[Idler(0)] * 3, caller="ada"):
        assert refusal(admission, "ada").reason == "CALLER_CAPACITY"
        with held(admission, Idler(0), caller="bob"), admission.place():
            assert refusal(admission).reason == "CAPACITY"
        assert admission.active == 3
    assert admission.active == 0
    assert admission.idle.is_set()
    with held(admission, *[Idler(0)] * 3, caller="ada"):
        pass


def test_a_caller_without_a_share_may_have_all() -> None:
    admission = Admission(3)
    with held(admission, *[Idler(0)] * 3):
        assert refusal(admission, "ada").reason == "CAPACITY"


def test_the_place_that_was_idle_longest_goes_to_who_comes() -> None:
    admission = Admission(3)
    short, long, busy = Idler(1), Idler(5), Idler(0)
    with held(admission, short, long, busy):
        with admission.place():
            assert isinstance(long.error, DeadlineExceeded)
            assert long.error.reason == "PLACE_NEEDED"
            assert short.error is busy.error is None
            assert admission.active == 3
        assert admission.active == 2
    assert admission.active == 0


def test_who_has_its_share_gives_up_its_own_place_first() -> None:
    admission = Admission(4)
    mine, other = Idler(1), Idler(9)
    with (
        held(admission, mine, Idler(0), caller="ada"),
        held(admission, other, caller="bob"),
        admission.place(caller="ada"),
    ):
        assert mine.error is not None
        assert other.error is None


async def test_a_stream_that_waits_for_its_client_leaves_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_SPARE_AFTER_S", 0)
    async with tiny_server(capacity=1) as server, tiny_stub(server.address) as stub:
        idle = await open_tiny_stream(stub)
        await open_tiny_stream(stub)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await idle.read()
        assert error_from_rpc(caught.value).reason == "PLACE_NEEDED"


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("ipv4:10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("ipv4:127.0.0.1", None),
        ("ipv6:%5B::1%5D", None),
        ("ipv6:[::ffff:10.0.0.7]", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unix", None),
        ("", None),
    ],
)
def test_machines_are_told_apart_where_people_arrive(peer: str, key: str | None) -> None:
    shared = Identity(mode=Mode.SHARED, peer=peer)
    assert counted_as(shared, by_address=True) == key
    assert counted_as(shared) is None


def test_users_are_told_apart_by_their_tokens_and_services_are_not_limited() -> None:
    person = Identity(
        mode=Mode.IDENTITIES, user_id="ada", roles=frozenset({Role.PERSON}), peer="10.0.0.7"
    )
    service = Identity(mode=Mode.IDENTITIES, user_id="gateway", roles=frozenset({Role.SERVICE}))
    assert counted_as(person) == counted_as(person, by_address=True) == "user:ada"
    assert counted_as(service) is counted_as(service, by_address=True) is None


async def opened(stub: Any, user_id: str) -> Any:
    """Opens an AddDocument stream and returns it once it has a place."""
    call = stub.AddDocument()
    config = DocumentConfig(owner=KnowledgeOwner(user_id=user_id), file_name="a.txt")
    await call.write(AddDocumentRequest(config=config))
    await call.read()
    return call


async def test_one_user_cannot_take_all_uploads_of_the_memory(tmp_path: Path) -> None:
    settings = MemorySettings(
        listen="127.0.0.1:0",
        data_dir=tmp_path,
        embedding_model="none",
        identity_keys_file=key_file(tmp_path),
    )

    async with serving(build(settings), settings) as server, asyncio.timeout(60):
        await server.ready

        async def outcome(user: str, role: str, count: int) -> list[str]:
            async with open_channel(server.address, token=token(user, role)) as channel:
                stub = MemoryServiceStub(channel)
                reasons = []
                for _ in range(count):
                    try:
                        calls.append(await opened(stub, user))
                        reasons.append("")
                    except grpc.aio.AioRpcError as error:
                        found: AnimaError = error_from_rpc(error)
                        reasons.append(found.reason)
                await release.wait()
                return reasons

        calls: list[Any] = []
        release = asyncio.Event()
        release.set()
        # Channels close with their calls, so each user keeps its channel until all have asked.
        async with asyncio.TaskGroup() as group:
            release.clear()
            ada = group.create_task(outcome("ada", "person", 3))
            while len(calls) < 2:  # noqa: ASYNC110 (a count of another task has no event)
                await asyncio.sleep(0.01)
            bob = group.create_task(outcome("bob", "person", 1))
            while len(calls) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            release.set()
        assert ada.result() == ["", "", "CALLER_CAPACITY"]
        assert bob.result() == [""]
