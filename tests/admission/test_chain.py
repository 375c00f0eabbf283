"""The plugins on by default stand in kube-apiserver's order, and can be left out by name."""

from __future__ import annotations

from ledger.admission.chain import PLUGIN_NAMES, default_plugins
from ledger.auth.authorizers import always_allow


def names(*disabled: str) -> list[str]:
    return [plugin.name for plugin in default_plugins(lambda: "xxxxx", always_allow, disabled)]


def test_the_plugins_stand_in_upstreams_order() -> None:
    assert names() == [name for name in PLUGIN_NAMES if name in names()]


def test_a_plugin_can_be_left_out_by_name() -> None:
    assert set(names()) - set(names("PodSecurity", "LimitRanger")) == {"PodSecurity", "LimitRanger"}
