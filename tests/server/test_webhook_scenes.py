"""Scenes with webhooks, against what a kube-apiserver 1.37.2 answered and asked (webhook_answers.json.xz).

tools/differential/webhooks.py --record plays the scenes on one and writes the file.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served
from tests.webhook_play import Player, play, until_served
from tests.webhook_scenes import HOOKS, SCENES, Object
from tests.webhook_server import WebhookServer

ANSWERS = json.loads(lzma.decompress((Path(__file__).parent / "webhook_answers.json.xz").read_bytes()))
TOKEN = "peer-admin-token"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Object]]]:
    directory = tmp_path_factory.mktemp("scenes")
    tokens = directory / "tokens.csv"
    tokens.write_text(f'{TOKEN},{TOKEN}-user,{TOKEN}-uid,"system:masters"\n')
    with WebhookServer(directory / "hooks") as hooks:
        hooks.answers.update(HOOKS)
        with Served(directory / "data", "--controllers", "none", "--token-auth-file", str(tokens)) as served:
            player = Player(served.url, TOKEN, until_served)
            yield play(player, hooks, SCENES)


@pytest.mark.parametrize("title", SCENES)
def test_a_scene_goes_as_it_went_on_kube_apiserver(title: str, played: dict[str, list[Object]]) -> None:
    for expected, found in zip(ANSWERS[title], played[title], strict=True):
        assert found == expected, found["line"]
