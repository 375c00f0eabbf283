"""Kubeconfigs are written without a library for YAML, so one reads them here."""

from __future__ import annotations

import base64

import pytest
import yaml

from ledger.auth.kubeconfig import cluster_of, kubeconfig

PEM = b"-----BEGIN CERTIFICATE-----\nAAAA+/==\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "server",
    ["https://127.0.0.1:6443", "https://[::1]:6443/at/2026-11-22T14:03:00Z", "https://a.b:1/at/rv:923", "https://a: b"],
)
@pytest.mark.parametrize(
    "word", ["ledger", "kind-kind", "true", "null", "no", "1", "1e3", "12:30", "~", "a: b", "- a", '"', "é", "#"]
)
def test_a_kubeconfig_says_what_it_was_told(server: str, word: str) -> None:
    text = kubeconfig(
        server, PEM, certificate_pem=PEM, key_pem=b"k", token=word, cluster=word, user=word, namespace=word
    )
    encoded = base64.b64encode(PEM).decode()
    assert yaml.safe_load(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": word, "cluster": {"server": server, "certificate-authority-data": encoded}}],
        "users": [
            {"name": word, "user": {"client-certificate-data": encoded, "client-key-data": "aw==", "token": word}}
        ],
        "contexts": [{"name": word, "context": {"cluster": word, "user": word, "namespace": word}}],
        "current-context": word,
    }
    assert cluster_of(text) == (server, PEM)


def test_a_kubeconfig_leaves_out_what_it_was_not_told() -> None:
    found = yaml.safe_load(kubeconfig("https://a:1", PEM, token="t"))
    assert found["users"] == [{"name": "admin", "user": {"token": "t"}}]
    assert found["contexts"] == [{"name": "ledger", "context": {"cluster": "ledger", "user": "admin"}}]
