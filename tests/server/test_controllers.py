"""Which controllers --controllers asks for."""

from __future__ import annotations

import pytest

from ledger.server.controllers import CONTROLLERS, wanted

NAMESPACES, GARBAGE = "namespace-controller", "garbage-collector-controller"
OTHERS = tuple(name for name in CONTROLLERS if name != GARBAGE)


@pytest.mark.parametrize("given, expected", [
    (["*"],                       CONTROLLERS),
    ([f"-{GARBAGE}"],             OTHERS),
    (["*", f"-{GARBAGE}"],        OTHERS),
    ([NAMESPACES],                (NAMESPACES,)),
    ([NAMESPACES, GARBAGE],       (NAMESPACES, GARBAGE)),
    (["none"],                    ()),
    (["none", NAMESPACES],        ()),
    ([],                          ()),
])  # fmt: skip
def test_names_stars_and_minuses(given: list[str], expected: tuple[str, ...]) -> None:
    assert wanted(given) == expected
