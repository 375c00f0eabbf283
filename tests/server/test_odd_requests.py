from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.served import Served
from tests.server.odd_requests import ODD, Odd, as_expected, ask

TOKEN = "odd-token"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("odd")
    (directory / "tokens.csv").write_text(f'{TOKEN},admin,admin-uid,"system:masters"\n')
    flags = ("--durability", "relaxed", "--controllers", "none", "--token-auth-file", str(directory / "tokens.csv"))
    with Served(directory / "data", *flags) as running:
        yield running


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_an_odd_request_is_answered_as_by_kube_apiserver(server: Served, odd: Odd) -> None:
    seen = ask(server.port, TOKEN, odd)
    status, text = odd.ours or (odd.status, odd.text)
    assert as_expected(seen, status, text, odd.closes), seen
    assert bool(odd.ours) == bool(odd.why)
