"""User names with a meaning of their own: service accounts and nodes."""

from __future__ import annotations

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain

_SERVICE_ACCOUNT = "system:serviceaccount:"
_NODE = "system:node:"


def service_account_username(namespace: str, name: str) -> str:
    return f"{_SERVICE_ACCOUNT}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, str]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def split_service_account(username: str) -> tuple[str, str] | None:
    """(namespace, name), or None when the name is not a service account's."""
    if not username.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, separator, name = username.removeprefix(_SERVICE_ACCOUNT).partition(":")
    if not separator or is_dns1123_label(namespace) or is_dns1123_subdomain(name):
        return None
    return namespace, name


def node_of(username: str) -> str:
    """The node whose kubelet has this user name; "" when it is not a node's."""
    if not username.startswith(_NODE):
        return ""
    name = username.removeprefix(_NODE)
    return "" if is_dns1123_subdomain(name) else name
