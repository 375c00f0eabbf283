"""The token file: `token,user,uid,"group1,group2"` a line, as kube-apiserver's --token-auth-file has it."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping

from ledger.apimachinery.http import User
from ledger.auth.api import Authenticated, AuthenticateToken, in_everybody

_log = logging.getLogger(__name__)


class BadTokenFile(ValueError):
    """The file cannot be used; the text names file and line."""


def parse_token_file(lines: Iterable[str], path: str) -> dict[str, User]:
    """Users by token; of a token that recurs the last line counts. Raises BadTokenFile.

    `path` is for the messages only. Follows tokenfile.NewCSV in k8s.io/apiserver.
    """
    users: dict[str, User] = {}
    reader = csv.reader(lines, strict=True)
    try:
        for record in reader:
            where = f"token file '{path}', line {reader.line_num}"
            if not record:
                continue
            if len(record) < 3:
                raise BadTokenFile(
                    f"{where}: must have at least 3 columns (token, user name, user uid), found {len(record)}"
                )
            token, name, uid = record[:3]
            if not token:
                _log.warning("%s: empty token", where)
                continue
            if token in users:
                _log.warning("%s: duplicate token", where)
            groups = record[3].split(",") if len(record) > 3 else []
            users[token] = User(name, uid, tuple(group for group in groups if group))
    except csv.Error as error:
        raise BadTokenFile(f"token file '{path}', line {reader.line_num}: {error}") from None
    return users


def token_file_authenticator(users: Mapping[str, User], audiences: tuple[str, ...] = ()) -> AuthenticateToken:
    """A file says nothing of audiences: its tokens are for the server itself, whose names `audiences` are."""
    for_server = {token: in_everybody(Authenticated(user, audiences)) for token, user in users.items()}

    def authenticate(token: str, wanted: tuple[str, ...]) -> Authenticated | None:
        if wanted == audiences:
            return for_server.get(token)
        user = users.get(token)
        common = tuple(audience for audience in wanted if audience in audiences) if audiences else wanted
        if user is None or (wanted and not common):
            return None
        return Authenticated(user, common)

    return authenticate
