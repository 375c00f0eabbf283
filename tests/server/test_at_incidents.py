"""The past of real clusters, served: every object of every recorded snapshot comes back through /at/REVISION."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ledger.scheme.scheme import builtin

ROOT = Path(__file__).resolve().parents[2]
INCIDENTS = ROOT / "../shared/incidents"
sys.path.insert(0, str(ROOT / "tools"))
from check_incidents import served  # noqa: E402

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not INCIDENTS.is_dir(), reason="the recorded incidents are not beside the checkout"),
]


# Recorded under a policy that logs every write with its answer; crashloop-cloud's does not (docs/replay.md).
@pytest.mark.parametrize("name", ["crashloop", "crd-operator", "field-fight"])
def test_every_recorded_object_comes_back_at_its_revision(name: str) -> None:
    outcomes = list(served(INCIDENTS / name, builtin()))
    assert outcomes
    for outcome in outcomes:
        assert (outcome.differ, outcome.missing, outcome.extra) == ([], [], []), outcome.name
        assert outcome.equal == outcome.objects > 0


def test_of_a_thin_policy_all_comes_back_but_what_info_lists_as_unknowable() -> None:
    for outcome in served(INCIDENTS / "crashloop-cloud", builtin()):
        assert {key.resource for key in outcome.missing} <= {"events"}, outcome.name
        assert outcome.knowable_share == 1.0 and not outcome.unlisted and not outcome.beyond, outcome.line()
