"""The past of real clusters, served: every object of every recorded snapshot comes back through /at/REVISION."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_at import check

INCIDENTS = Path(__file__).resolve().parents[2].parent / "shared" / "incidents"
# Recorded under a policy that logs every write with its answer; crashloop-cloud's does not, see docs/replay.md.
FULLY_RECORDED = ("crashloop", "crd-operator", "field-fight")


@pytest.mark.shared
@pytest.mark.parametrize("name", FULLY_RECORDED)
def test_every_recorded_object_comes_back_at_its_revision(name: str) -> None:
    folder = INCIDENTS / name
    if not folder.is_dir():
        pytest.skip(f"needs the recorded incident {name} beside the checkout")
    for outcome in check(folder):
        assert outcome.objects > 0
        assert (outcome.differ, outcome.missing, outcome.extra) == ([], [], []), outcome.name
        assert outcome.equal == outcome.objects


@pytest.mark.shared
def test_what_a_thin_policy_never_recorded_is_not_made_up() -> None:
    folder = INCIDENTS / "crashloop-cloud"
    if not folder.is_dir():
        pytest.skip("needs the recorded incident crashloop-cloud beside the checkout")
    for outcome in check(folder):
        # Events were never logged, so the past has none of the later ones; all else that exists is there.
        assert {name.split()[0] for name in outcome.missing} <= {"core/v1/events", "events.k8s.io/v1/events"}
