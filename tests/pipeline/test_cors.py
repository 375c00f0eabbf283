"""Pages of allowed origins may read answers."""

from __future__ import annotations

import pytest

from ledger.pipeline.cors import compile_origins
from tests.pipeline.requests import header, ok, play, refuse_all, refuse_credentials, request_for

ORIGINS = compile_origins([r"//corpus\.example(:|$)"])


@pytest.mark.parametrize(
    "origin, allowed",
    [
        ("https://corpus.example", True),
        ("https://corpus.example:8443", True),
        ("https://corpus.example.evil.org", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_allowed_origin_is_named_on_every_answer(origin: str, allowed: bool) -> None:
    for changes in ({}, {"authenticate": refuse_credentials}, {"authorize": refuse_all}):
        response, _ = play(ok, request_for("GET /api", origin=origin), cors_origins=ORIGINS, **changes)
        assert header(response, "access-control-allow-origin") == (origin if allowed else "")


def test_a_preflight_needs_no_credentials() -> None:
    request = request_for("OPTIONS /api/v1/pods", origin="https://corpus.example")
    response, events = play(ok, request, cors_origins=ORIGINS, authenticate=refuse_credentials)
    assert (response.status, response.body, events[0].code) == (204, b"", 204)
    assert header(response, "access-control-allow-methods") == "POST, GET, OPTIONS, PUT, DELETE, PATCH"
    assert header(response, "access-control-allow-credentials") == "true"


@pytest.mark.parametrize("pattern", ["", "example.com", "^example.com", "example.com$", "^(example$"])
def test_an_origin_that_is_not_pinned_or_no_expression_is_refused_at_start(pattern: str) -> None:
    with pytest.raises(ValueError, match="--cors-allowed-origins"):
        compile_origins([pattern])
