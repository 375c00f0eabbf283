"""The definitions of gateway-api, with its own examples: all good ones are taken, all bad ones refused.

`tools/crd_sets.py` does the same for five more projects, and compares with a kube-apiserver where one runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import REPOSITORY, Served

sys.path.insert(0, str(REPOSITORY / "tools"))
from crd_sets import SETS, Kinds, Server, create, definitions, install, objects, sources

GATEWAY = SETS["gateway-api"]


@pytest.fixture(scope="module")
def source() -> Path:
    found = sources(GATEWAY.module)
    if found is None:
        pytest.skip(f"no Go, or no {GATEWAY.module} to be had")
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sets")
    tokens = folder / "tokens.csv"
    tokens.write_text('token,admin,uid,"system:masters"\n')
    flags = ("--durability", "relaxed", "--controllers", "none", "--token-auth-file", str(tokens))
    with Served(folder / "data", *flags) as served:
        yield Server(served.url, "token")


def test_every_definition_installs_and_every_example_is_judged_as_it_should(source: Path, server: Server) -> None:
    crds = definitions(GATEWAY, source)
    assert len(crds) > 5
    assert install(server, crds) == {}
    kinds = Kinds.of(crds)
    good = [(file, create(server, path, obj)) for file, path, obj in objects(source, GATEWAY.good, kinds)]
    bad = [(file, create(server, path, obj)) for file, path, obj in objects(source, GATEWAY.bad, kinds)]
    assert len(good) > 20 and len(bad) > 20
    assert [one for one in good if one[1][0] != 201] == []
    assert [one for one in bad if one[1][0] != 422] == []
