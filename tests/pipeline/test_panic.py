"""A bug ends one request."""

from __future__ import annotations

import logging

import pytest

from tests.pipeline.requests import header, play, raising, request_for


def test_a_panic_is_told_to_the_client_without_its_inside_and_to_the_log_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        response, _ = play(raising(KeyError("the secret key")), request_for("GET /api"))
    assert response.body == b"This request caused apiserver to panic. Look in the logs for details.\n"
    assert header(response, "content-type") == "text/plain; charset=utf-8"
    assert "the secret key" in caplog.text and "Traceback" in caplog.text
