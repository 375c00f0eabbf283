"""A kubeconfig: where the server is, how to know it, and as whom to ask."""

from __future__ import annotations

import base64

import yaml


def kubeconfig(
    server: str,
    ca_pem: bytes,
    *,
    certificate_pem: bytes = b"",
    key_pem: bytes = b"",
    token: str = "",
    cluster: str = "ledger",
    user: str = "admin",
    namespace: str = "",
) -> str:
    """YAML with everything embedded, so that the one file is enough on another machine.

    `server` is the whole URL; with /at/MOMENT at its end, kubectl sees that moment.
    """
    context = {"cluster": cluster, "user": user} | ({"namespace": namespace} if namespace else {})
    credentials = {
        "client-certificate-data": _encoded(certificate_pem),
        "client-key-data": _encoded(key_pem),
        "token": token,
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _encoded(ca_pem)}},
        ],
        "users": [{"name": user, "user": {key: value for key, value in credentials.items() if value}}],
        "contexts": [{"name": cluster, "context": context}],
        "current-context": cluster,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def cluster_of(text: str) -> tuple[str, bytes]:
    """The server's URL and its CA (PEM) in a kubeconfig that `kubeconfig` wrote. Raises ValueError for anything else."""
    try:
        cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
        return str(cluster["server"]), base64.b64decode(cluster["certificate-authority-data"])
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"not a kubeconfig of ledger's: {error}") from None
