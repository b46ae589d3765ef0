"""Who may call what: one row for every gRPC method and every HTTP route.

The interceptor of the gRPC servers and the guard of the HTTP server read this table, and refuse
what has no row. docs/security.md shows it (`scripts/gen_security.py`); the tests call each row as
each role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from services.runtime.errors import PermissionDenied
from services.runtime.identity.caller import EVERY_ROLE, Identity, Role, not_yours


class Data(Enum):
    """Whose data a method or route reads or changes, and so what a token restricts it to."""

    NOBODYS = "nobody's"
    """Nothing about a user."""
    USERS = "the user's"
    """Of one user: a person's token allows only its own, and fills in an empty field."""
    KNOWLEDGE = "the user's or the persona's"
    """Of one user, or of a persona: a person has its own, an operator those of personas."""
    OWNERS = "the owner's"
    """Of the owner of an avatar: a person sees what is shared and its own, and changes its own; an
    operator, who leaves the field empty, all."""


@dataclass(frozen=True, kw_only=True)
class Permission:
    """A row of the table.

    Attributes:
        roles: A caller needs one of them.
        data: Whose data it is.
        field: The place in the request that names whose: a field, or a field of the stream's
            config.
        before_token: Whether it is answered without a token.
        changes: Whether it changes an avatar, which that being shared does not allow.
        note: More about it, for the documentation.
    """

    roles: frozenset[Role] = EVERY_ROLE
    data: Data = Data.NOBODYS
    field: str = ""
    before_token: bool = False
    changes: bool = False
    note: str = ""

    def check(self, identity: Identity) -> None:
        """Checks that a caller may call it at all.

        Raises:
            PermissionDenied: The caller has none of the roles.
        """
        if not self.before_token and not identity.has(self.roles):
            raise _role_missing(self.roles)

    def bind(self, request: Any, identity: Identity) -> None:
        """Restricts a message to what its sender may have; fills in the user of the token.

        Args:
            request: A message, which is changed.
            identity: The sender.

        Raises:
            PermissionDenied: The message names what belongs to somebody else.
        """
        if self.data is Data.NOBODYS or not identity.is_bound:
            return
        *groups, last = self.field.split(".")
        for group in groups:
            if not request.HasField(group):
                return
            request = getattr(request, group)
        if self.data is Data.KNOWLEDGE:
            _bind_knowledge(getattr(request, last), identity, self.field)
        elif self.data is Data.USERS or Role.OPERATOR not in identity.roles:
            setattr(request, last, identity.user_of(getattr(request, last), field=self.field))
        elif getattr(request, last) not in ("", identity.user_id):
            raise not_yours(f"{self.field}: an operator leaves it empty")


_ANYBODY: Final = frozenset[Role]()
_SERVICE: Final = frozenset({Role.SERVICE})
_PERSON: Final = frozenset({Role.PERSON, Role.SERVICE})

_PUBLIC: Final = Permission(roles=_ANYBODY, before_token=True)
_ALL: Final = Permission()
_STAGE: Final = Permission(roles=_SERVICE, note="called by the gateway")
_OWN: Final = Permission(roles=_PERSON, data=Data.USERS, field="user_id")
_KNOWLEDGE: Final = Permission(data=Data.KNOWLEDGE, field="owner")
_SESSION: Final = Permission(roles=_PERSON, data=Data.USERS, field="config.user_id")

RPCS: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "anima.gateway.v1.GatewayService/Converse": _SESSION,
        "anima.gateway.v1.GatewayService/DescribeMesh": Permission(
            note="consent statements only to the owner and to operators"
        ),
        "anima.asr.v1.AsrService/Recognize": _STAGE,
        "anima.asr.v1.AsrService/DescribeEngine": _ALL,
        "anima.tts.v1.TtsService/Synthesize": _STAGE,
        "anima.tts.v1.TtsService/ListVoices": _ALL,
        "anima.tts.v1.TtsService/DescribeEngine": _ALL,
        "anima.llm.v1.LlmService/Generate": _STAGE,
        "anima.llm.v1.LlmService/Prefill": _STAGE,
        "anima.llm.v1.LlmService/ListPersonas": _ALL,
        "anima.llm.v1.LlmService/DescribeEngine": _ALL,
        "anima.avatar.v1.AvatarService/Render": _STAGE,
        "anima.avatar.v1.AvatarService/GetIdleLoop": _STAGE,
        "anima.avatar.v1.AvatarService/ListAvatars": Permission(
            data=Data.OWNERS,
            field="user_id",
            note="consent statements only to the owner and to operators",
        ),
        "anima.avatar.v1.AvatarService/CreateAvatar": Permission(
            data=Data.OWNERS,
            field="config.user_id",
            changes=True,
            note="an operator's belong to everybody",
        ),
        "anima.avatar.v1.AvatarService/DeleteAvatar": Permission(
            data=Data.OWNERS, field="user_id", changes=True
        ),
        "anima.avatar.v1.AvatarService/DescribeEngine": _ALL,
        "anima.memory.v1.MemoryService/Remember": _OWN,
        "anima.memory.v1.MemoryService/Recall": _OWN,
        "anima.memory.v1.MemoryService/List": _OWN,
        "anima.memory.v1.MemoryService/Forget": _OWN,
        "anima.memory.v1.MemoryService/Export": _OWN,
        "anima.memory.v1.MemoryService/Import": _OWN,
        "anima.memory.v1.MemoryService/Pin": _OWN,
        "anima.memory.v1.MemoryService/Correct": _OWN,
        "anima.memory.v1.MemoryService/AddDocument": Permission(
            data=Data.KNOWLEDGE, field="config.owner"
        ),
        "anima.memory.v1.MemoryService/ListDocuments": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/GetDocument": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/RemoveDocument": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/PutPassages": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/GetPassages": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/RemovePassages": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/SearchKnowledge": _KNOWLEDGE,
        "anima.memory.v1.MemoryService/DescribeEngine": _ALL,
        "grpc.health.v1.Health/Check": _PUBLIC,
        "grpc.health.v1.Health/List": _PUBLIC,
        "grpc.health.v1.Health/Watch": _PUBLIC,
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ALL,
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _ALL,
    }
)
"""The permission of each gRPC method, by "package.Service/Method"."""

ROUTES: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "GET /": _PUBLIC,
        "GET /static/{path:path}": Permission(
            roles=_ANYBODY, before_token=True, note="the files of the page"
        ),
        "GET /healthz": _PUBLIC,
        "GET /readyz": _PUBLIC,
        "WS /v1/realtime": Permission(
            roles=_PERSON,
            data=Data.USERS,
            field="session.anima.user_id",
            note="the token may come in the first event",
        ),
        "POST /v1/ask": Permission(roles=_PERSON, data=Data.USERS, field="user_id"),
        "POST /v1/page-codes": Permission(
            roles=_PERSON,
            data=Data.USERS,
            field="user_id",
            note="a service names the person who will use the page",
        ),
        "POST /v1/page-sessions": Permission(
            roles=_ANYBODY, before_token=True, note="wants a code of a minute, for one use"
        ),
        "GET /v1/mesh": Permission(note="consent statements only to the owner and to operators"),
        "GET /v1/openapi.json": Permission(note="the description of these routes"),
        "GET /v1/memory": Permission(roles=_PERSON, data=Data.USERS, field="anima-user-id"),
        "DELETE /v1/memory": Permission(roles=_PERSON, data=Data.USERS, field="anima-user-id"),
        "GET /v1/memory/export": Permission(roles=_PERSON, data=Data.USERS, field="anima-user-id"),
        "DELETE /v1/memory/{item_id}": Permission(
            roles=_PERSON, data=Data.USERS, field="anima-user-id"
        ),
        "POST /v1/avatars": Permission(
            data=Data.OWNERS, changes=True, note="an operator's belong to everybody"
        ),
        "DELETE /v1/avatars/{name}": Permission(data=Data.OWNERS, changes=True),
        "GET /v1/avatars/{name}/idle.mp4": Permission(data=Data.OWNERS),
    }
)
"""The permission of each HTTP route, by "METHOD path"; "WS" is a WebSocket, a HEAD is as a GET."""


def permission_of(row: Permission | None, name: str) -> Permission:
    """Returns a row of the table.

    Args:
        row: The row that was found.
        name: The method or route, for the error.

    Raises:
        PermissionDenied: There is no row, so nobody may call it.
    """
    if row is None:
        raise PermissionDenied(
            f"{name}: has no row in the table of permissions", reason="NO_PERMISSION"
        )
    return row


def _bind_knowledge(owner: Any, identity: Identity, field: str) -> None:
    if owner.WhichOneof("owner") == "persona":
        if Role.OPERATOR not in identity.roles:
            raise _role_missing(frozenset({Role.OPERATOR}))
        return
    if Role.PERSON not in identity.roles:
        raise _role_missing(frozenset({Role.PERSON}))
    owner.user_id = identity.user_of(owner.user_id, field=f"{field}.user_id")


def _role_missing(roles: frozenset[Role]) -> PermissionDenied:
    names = " or ".join(role.value for role in Role if role in roles)
    return PermissionDenied(
        f"the token has not the role that this needs: {names}", reason="ROLE_MISSING"
    )
