"""A kubeconfig: where the server is, how to know it, and as whom to ask."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

import orjson

# What YAML reads as a text without quotes, of all that we write: URLs, PEM in base64, words that are no constant.
_PLAIN = re.compile(r"https://[\w./:\[\]%-]+|LS0t[\w+/]+=*|(?!true$|false$|null$)[a-z]{4,}(-[a-z]+)*").fullmatch


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
    credentials = {
        "client-certificate-data": _encoded(certificate_pem),
        "client-key-data": _encoded(key_pem),
        "token": token,
    }
    # By hand: a library for YAML would be a fiftieth of a server's start, for this one file.
    lines = [
        "apiVersion: v1",
        "kind: Config",
        "clusters:",
        f"- name: {_scalar(cluster)}",
        "  cluster:",
        *_fields({"server": server, "certificate-authority-data": _encoded(ca_pem)}.items()),
        "users:",
        f"- name: {_scalar(user)}",
        "  user:",
        *_fields((name, value) for name, value in credentials.items() if value),
        "contexts:",
        f"- name: {_scalar(cluster)}",
        "  context:",
        *_fields([("cluster", cluster), ("user", user), *([("namespace", namespace)] if namespace else ())]),
        f"current-context: {_scalar(cluster)}",
    ]
    return "\n".join([*lines, ""])


def _fields(fields: Iterable[tuple[str, str]]) -> list[str]:
    return [f"    {name}: {_scalar(value)}" for name, value in fields]


def _scalar(text: str) -> str:
    """A text as YAML reads it back; quoted as in JSON where it might be taken for something else."""
    return text if _PLAIN(text) else orjson.dumps(text).decode()


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def cluster_of(text: str) -> tuple[str, bytes]:
    """The server's URL and its CA (PEM) in a kubeconfig that `kubeconfig` wrote. Raises ValueError for anything else."""
    import yaml

    try:
        cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
        return str(cluster["server"]), base64.b64decode(cluster["certificate-authority-data"])
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"not a kubeconfig of ledger's: {error}") from None
