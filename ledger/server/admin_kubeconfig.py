"""The admin's kubeconfig: for the server as it is, or for a moment of its past."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

from ledger.auth.kubeconfig import cluster_of, kubeconfig

NAME = "admin.kubeconfig"  # in the data directory, where `ledger serve` writes it


class NoKubeconfig(Exception):
    """The data directory does not tell what a kubeconfig needs; the message says what is missing."""


def at_moment(data_dir: Path, moment: str = "", server: str = "") -> str:
    """YAML for the admin of the ledger in `data_dir`, whose server is `moment`: a revision or RFC 3339, "" for now.

    `server` is the URL without a moment; without it, the one at which the ledger was served last. Raises NoKubeconfig.
    """
    pki = data_dir / "pki"
    try:
        certificate, key, ca = ((pki / name).read_bytes() for name in ("admin.crt", "admin.key", "ca.crt"))
    except OSError as error:
        raise NoKubeconfig(f"{error.filename}: {error.strerror}; has a server run on {data_dir} yet?") from None
    written = data_dir / NAME
    if written.exists():
        try:
            last, ca = cluster_of(written.read_text())
        except ValueError as error:
            raise NoKubeconfig(f"{written} is {error}") from None
        server = server or last
    if not server:
        raise NoKubeconfig(f"where is the server? {written} is not there: give --server URL")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise NoKubeconfig(f"{server!r} is not a URL such as https://127.0.0.1:6443")
    at = f"/at/{quote(moment, safe=':+')}" if moment else ""
    name = f"ledger@{moment}" if moment else "ledger"
    return kubeconfig(server.rstrip("/") + at, ca, certificate_pem=certificate, key_pem=key, cluster=name)
