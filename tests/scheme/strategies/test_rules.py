"""The table of validation rules names functions that are there."""

from __future__ import annotations

import pytest

from ledger.scheme.strategies.validation.kinds import RULES, Rules, function


@pytest.mark.parametrize("resource", [*RULES, "of any other kind"])
def test_the_rules_of_a_kind_are_functions(resource: str) -> None:
    rules = RULES.get(resource, Rules())
    for name in (rules.create, rules.update, rules.update_status, *rules.subresources.values()):
        assert callable(function(name)), name
