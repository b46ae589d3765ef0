"""`GET /v1/openapi.json`: the REST API as OpenAPI 3.1, made from the routes of the application.

The table `_OPERATIONS` adds what a route does not know: bodies, parameters and answers. A route
without an entry is listed too, with its path and method alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.http.ask.request import AskFields
from gateway.http.routes.idle_loops import FRAME_RATES_HZ, SIZES_PX
from gateway.http.routes.memory import USER_HEADER

PATH: Final = "/v1/openapi.json"

Json = dict[str, Any]


def with_description(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Returns the routes and one more, which describes all of them.

    Args:
        routes: The routes of the application.
    """
    served: list[BaseRoute] = [*routes]

    async def describe(request: Request) -> Response:
        return JSONResponse(description(served))

    served.append(Route(PATH, describe))
    return served


def operations(routes: Sequence[BaseRoute]) -> list[tuple[str, str]]:
    """Returns the method and path of each HTTP call, "HEAD" left out."""
    return [
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def undescribed(routes: Sequence[BaseRoute]) -> list[tuple[str, str]]:
    """Returns the calls that have no entry in the table, and entries without a route."""
    return sorted(set(operations(routes)) ^ set(_OPERATIONS))


def description(routes: Sequence[BaseRoute]) -> Json:
    """Returns the OpenAPI document.

    Args:
        routes: The routes of the application.
    """
    paths: dict[str, Json] = {}
    parameters = {
        route.path: list(route.param_convertors) for route in routes if isinstance(route, Route)
    }
    for method, path in operations(routes):
        operation = _OPERATIONS.get((method, path), {})
        known = [*operation.get("parameters", ()), *map(_path_parameter, parameters[path])]
        answers: Mapping[str, Any] = operation.get("responses", {"200": _answer("*/*", {})})
        entry = {**operation, "parameters": known, "responses": {**answers, "default": _PROBLEM}}
        if not path.startswith("/v1/"):
            entry["security"] = []
        paths.setdefault(path, {})[method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": "Anima", "version": version("anima")},
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM_SCHEMA},
        },
    }


def _answer(media_type: str, schema: Json, text: str = "Success") -> Json:
    return {"description": text, "content": {media_type: {"schema": schema}}}


def _path_parameter(name: str) -> Json:
    # An empty value is another path.
    return {"name": name, "in": "path", "required": True, "schema": _NAME}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _form(fields: Json, required: list[str]) -> Json:
    schema = {"type": "object", "properties": fields, "required": required}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _json(schema: Json) -> Json:
    return {"required": True, "content": {_JSON: {"schema": schema}}}


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list_of(schema: Json) -> Json:
    return {"type": "array", "items": schema}


_TEXT: Final[Json] = {"type": "string"}
_FILE: Final[Json] = {"type": "string", "format": "binary"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_NAME: Final[Json] = {"type": "string", "minLength": 1, "maxLength": 64}
_ANY: Final[Json] = {"type": "object"}
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"

_PROBLEM_SCHEMA: Final = _object(
    type=_TEXT,
    title=_TEXT,
    status={"type": "integer", "minimum": 400, "maximum": 599},
    detail=_TEXT,
)
_PROBLEM: Final = _answer(
    "application/problem+json",
    {"$ref": "#/components/schemas/Problem"},
    "A problem (RFC 9457); `detail` says what to do",
)
_USER: Final[Json] = {
    "name": USER_HEADER,
    "in": "header",
    "required": True,
    "description": "The user, percent-encoded UTF-8.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
}
_FORGOTTEN: Final = {"200": _answer(_JSON, _object(forgotten_count=_COUNT))}

_ASK_SCHEMA: Final[Json] = {
    **AskFields.model_json_schema(ref_template="#/components/schemas/{model}"),
    "required": ["text"],
}
_VIDEO: Final = _ASK_SCHEMA.pop("$defs")["VideoFields"]
_ASK_SCHEMA["properties"] = {**_ASK_SCHEMA["properties"], "video": _VIDEO}

_REPLY: Final = _object(
    question=_TEXT,
    text=_TEXT,
    turn_id=_TEXT,
    sources=_list_of(_ANY),
    spans=_list_of(_ANY),
    words=_list_of(_ANY),
    subtitles=_object(vtt=_TEXT, srt=_TEXT),
    notices=_list_of(_TEXT),
)
_ANSWER: Final[Json] = {
    "description": "The whole answer, in the type that `format` or `accept` selects",
    "content": {
        _JSON: {"schema": _REPLY},
        "audio/wav": {"schema": _FILE},
        "video/mp4": {"schema": _FILE},
    },
}

_OPERATIONS: Final[dict[tuple[str, str], Json]] = {
    ("GET", "/"): {"summary": "The page", "responses": {"200": _answer("text/html", _TEXT)}},
    ("GET", "/healthz"): {
        "summary": "Whether the process is alive",
        "responses": {"200": _answer("text/plain", _TEXT)},
    },
    ("GET", "/readyz"): {
        "summary": "Whether this gateway accepts sessions",
        "responses": {
            status: _answer(
                _JSON, _object(ready={"type": "boolean"}, reason=_TEXT, problems=_ANY), text
            )
            for status, text in (("200", "It does"), ("503", "It does not; see `reason`"))
        },
    },
    ("GET", PATH): {
        "summary": "This description",
        "responses": {"200": _answer(_JSON, _object(openapi=_TEXT, paths=_ANY))},
    },
    ("POST", "/v1/ask"): {
        "summary": "One question and its complete answer",
        "parameters": [_query("format", {"type": "string", "enum": ["mp4", "wav", "json"]})],
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {"schema": _ASK_SCHEMA},
                **_form(
                    {
                        "audio": _FILE,
                        "picture": _FILE,
                        "text": _TEXT,
                        "language": _TEXT,
                        "user_id": _TEXT,
                    },
                    [],
                )["content"],
            },
        },
        "responses": {"200": _ANSWER},
    },
    ("POST", "/v1/page-codes"): {
        "summary": "A code with which a page of another site opens a session for a person",
        "requestBody": _json({"type": "object", "properties": {"user_id": _TEXT}}),
        "responses": {"201": _answer(_JSON, _object(code=_TEXT, expires_in_s={"type": "number"}))},
    },
    ("POST", "/v1/page-sessions"): {
        "summary": "Exchanges such a code for the token of a session",
        "requestBody": _json(_object(code=_TEXT)),
        "responses": {"201": _answer(_JSON, _object(token=_TEXT, expires_unix_s=_COUNT))},
    },
    ("GET", "/v1/mesh"): {
        "summary": "Stages and their state, personas, voices, avatars",
        "responses": {
            "200": _answer(
                _JSON,
                _object(
                    stages=_list_of(_ANY),
                    personas=_list_of(_ANY),
                    voices=_list_of(_ANY),
                    avatars=_list_of(_ANY),
                ),
            )
        },
    },
    ("GET", "/v1/avatars/{name}/idle.mp4"): {
        "summary": "The idle loop of an avatar, without sound",
        "parameters": [
            _query("width_px", {"type": "integer", "enum": list(SIZES_PX)}),
            _query("height_px", {"type": "integer", "enum": list(SIZES_PX)}),
            _query("frame_rate_hz", {"type": "integer", "enum": list(FRAME_RATES_HZ)}),
            _query("activity", {"type": "string", "enum": ["idle", "listening", "thinking"]}),
        ],
        "responses": {"200": _answer("video/mp4", _FILE)},
    },
    ("POST", "/v1/avatars"): {
        "summary": "Creates an avatar from a photo; JSON lines report the progress",
        "requestBody": _form(
            {
                "photo": _FILE,
                "name": _TEXT,
                "display_name": _TEXT,
                "consent": _TEXT,
                "licence": _TEXT,
                "replace": {"type": "string", "enum": ["true", "false"]},
            },
            ["photo", "name", "consent"],
        ),
        "responses": {"200": _answer(_LINES, _TEXT)},
    },
    ("DELETE", "/v1/avatars/{name}"): {
        "summary": "Deletes an avatar that was created from a photo",
        "responses": {"204": {"description": "It is deleted"}},
    },
    ("GET", "/v1/memory"): {
        "summary": "The memories of a user, newest first",
        "parameters": [_USER, _query("page_token", {"type": "string", "maxLength": 512})],
        "responses": {
            "200": _answer(
                _JSON,
                _object(items=_list_of(_ANY), next_page_token=_TEXT, total_count=_COUNT),
            )
        },
    },
    ("GET", "/v1/memory/export"): {
        "summary": "All memories of a user, as JSON lines",
        "parameters": [_USER],
        "responses": {"200": _answer(_LINES, _TEXT)},
    },
    ("DELETE", "/v1/memory"): {
        "summary": "Erases everything about a user",
        "parameters": [_USER],
        "responses": _FORGOTTEN,
    },
    ("DELETE", "/v1/memory/{item_id}"): {
        "summary": "Erases one memory of a user",
        "parameters": [_USER],
        "responses": _FORGOTTEN,
    },
}
