"""The description of the REST API: it lists every route of the application, and is valid."""

from __future__ import annotations

from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.app import create_app
from gateway.http.ask.request import AskFields
from gateway.http.routes.openapi import description, operations, undescribed
from testing.fakes.mesh import FakeMesh


def routes_of(app: Any) -> list[BaseRoute]:
    while not isinstance(app, Starlette):
        app = app._app
    return list(app.routes)


async def test_each_route_of_the_application_is_described() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        routes = routes_of(create_app(mesh))
        assert undescribed(routes) == []
        document = description(routes)
        listed = {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
        }
        assert listed == set(operations(routes))


async def test_a_route_without_a_description_is_listed_all_the_same() -> None:
    async with FakeMesh() as fake, fake.mesh() as mesh:
        added = Route("/v1/things/{name}", Response(), methods=["PUT"])
        routes = [*routes_of(create_app(mesh)), added]
        assert undescribed(routes) == [("PUT", "/v1/things/{name}")]
        listed = description(routes)["paths"]["/v1/things/{name}"]["put"]
        assert [each["name"] for each in listed["parameters"]] == ["name"]


async def test_the_description_is_served() -> None:
    async with FakeMesh() as fake, fake.mesh(token="secret-token-of-a-test") as mesh:
        transport = httpx.ASGITransport(create_app(mesh))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            refused = await client.get("/v1/openapi.json")
            assert refused.status_code == 401
            served = await client.get(
                "/v1/openapi.json", headers={"authorization": "Bearer secret-token-of-a-test"}
            )
    document = served.json()
    assert document["openapi"] == "3.1.0"
    fields = document["paths"]["/v1/ask"]["post"]["requestBody"]["content"]["application/json"]
    assert set(fields["schema"]["properties"]) == set(AskFields.model_fields)
