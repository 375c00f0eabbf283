"""What becomes of credentials."""

from __future__ import annotations

from ledger.apimachinery.http import Request, Response
from ledger.auth.api import Authenticated
from tests.pipeline.requests import ADMIN, ok, play, request_for


def test_credentials_end_at_the_filter() -> None:
    seen: list[str] = []

    async def looks(request: Request) -> Response:
        seen.extend(name for name, _ in request.headers)
        return Response()

    headers = {"authorization": "Bearer x", "x_remote_user": "a", "x_remote_extra_scopes": "b", "accept": "c"}
    play(looks, request_for("GET /api", **headers))
    assert seen == ["accept"]


def test_a_token_for_other_audiences_is_no_good() -> None:
    for audiences, code in ((("here",), 200), (("elsewhere",), 401), ((), 200)):
        found = Authenticated(ADMIN, audiences)
        assert (
            play(ok, request_for("GET /api"), authenticate=lambda _, found=found: found, audiences=["here"])[0].status
            == code
        )
