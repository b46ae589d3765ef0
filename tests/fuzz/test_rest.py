"""The REST API with requests that schemathesis makes from its own description."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.conftest import Fuzzed
from tests.fuzz.rounds import FIXED_SEED, one_round, seeds

# The first test also waits for the mesh.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

CHECKS: list[CheckFunction] = [
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
HANG_S = 120.0
UNAVAILABLE = (503, 504)
"""A picture may need more time than there is; the answer then says so."""


@pytest.fixture(scope="module")
def operations(fuzzed: Fuzzed) -> Any:
    """A strategy for requests of any operation, within its description or outside of it."""
    document = httpx.get(f"{base_url(fuzzed)}/v1/openapi.json", trust_env=False).json()
    schema = schemathesis.openapi.from_dict(document)
    found: list[Any] = list(schema.get_all_operations())
    every = [each.ok() for each in found]
    assert {each.path for each in every} == set(document["paths"])
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    return st.tuples(st.sampled_from(every), st.sampled_from(modes)).flatmap(
        lambda pair: pair[0].as_strategy(generation_mode=pair[1])
    )


def base_url(fuzzed: Fuzzed) -> str:
    return f"http://{fuzzed.mesh.http_address}"


def check(fuzzed: Fuzzed, case: Any, seen: Counter[tuple[str, int]]) -> None:
    response = case.call(base_url=base_url(fuzzed), timeout=HANG_S)
    case.validate_response(response, checks=CHECKS)
    assert response.status_code < 500 or response.status_code in UNAVAILABLE, case.as_curl_command()
    seen[f"{case.method} {case.operation.path}", response.status_code] += 1


def test_requests(fuzzed: Fuzzed, operations: Any) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    one_round(lambda case: check(fuzzed, case, seen), operations, examples=60, number=FIXED_SEED)
    assert {status for _, status in seen} >= {200, 422}
    assert fuzzed.watch.faults() == []


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_requests_for_minutes(fuzzed: Fuzzed, operations: Any) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    for number in seeds(share=0.15):
        one_round(lambda case: check(fuzzed, case, seen), operations, examples=100, number=number)
        assert fuzzed.watch.faults() == [], f"seed {number}"
    assert {status for _, status in seen} >= {200, 422}
