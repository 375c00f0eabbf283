"""Compares two answers to the same request, from servers whose uids, versions, times and random parts differ.

A value that differs is forgiven when both sides are of one such type *and* the pairing holds for the whole run: the uid
that stood for another uid once stands for it always, and resourceVersions grow in the same order. So a write that
changes nothing but raises the version is found although no two versions are ever equal.
"""

from __future__ import annotations

import re
from typing import Any

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z")
AGE = re.compile(r"(?:\d+[ywdhms])+|<unknown>|<invalid>")
VERSION_TEXT = re.compile(r"(resourceVersion\W{0,6}|in record \()\d+")
LISTED = "(list)"
VOLATILE_PATHS = re.compile(r"\.(continue|clusterIPs?(\[\d+\])?|nodePort|healthCheckNodePort|token)$")
SAME_SECONDS = 86_400  # two protobuf times of one run are this close

SHORT = 300  # characters of a value that are shown
MISSING = object()


class Pairing:
    """Which value of the reference stands for which value of the server under test."""

    def __init__(self) -> None:
        self.uids: dict[str, str] = {}
        self.versions: dict[int, int] = {}

    def same_uid(self, expected: str, got: str) -> bool:
        return self.uids.setdefault(expected, got) == got

    def same_version(self, expected: int, got: int) -> bool:
        for known_expected, known_got in self.versions.items():
            if (known_expected < expected) != (known_got < got) or (known_expected == expected) != (known_got == got):
                return False
        self.versions[expected] = got
        return True


def differences(expected: Any, got: Any, pairing: Pairing, path: str = "") -> list[str]:
    """Lines "path: expected -> got", one per difference."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found: list[str] = []
        if isinstance(expected.get("items", expected.get("rows")), list):
            path += LISTED  # others may write between the two, so a list's own version says little
        for key in [*expected, *(key for key in got if key not in expected)]:
            found += differences(expected.get(key, MISSING), got.get(key, MISSING), pairing, f"{path}.{key}")
        return found
    if isinstance(expected, list) and isinstance(got, list):
        if path.endswith(".managedFields"):  # their order depends on the second in which each was written
            expected, got = sorted(expected, key=owner), sorted(got, key=owner)
        if len(expected) != len(got):
            return [f"{path}: {len(expected)} items -> {len(got)} items: {short(expected)} -> {short(got)}"]
        pairs = enumerate(zip(expected, got, strict=True))
        return [line for at, (one, other) in pairs for line in differences(one, other, pairing, f"{path}[{at}]")]
    if alike(expected, got, pairing, path):
        return []
    if isinstance(expected, str) and isinstance(got, str) and len(expected) + len(got) > 2 * SHORT:
        return [f"{path}: {' -> '.join(parting(blurred(expected), blurred(got)))}"]
    return [f"{path}: {short(expected)} -> {short(got)}"]


def owner(entry: Any) -> list[str]:
    return [str(entry.get(key, "")) for key in ("manager", "operation", "apiVersion", "subresource")]


def alike(expected: Any, got: Any, pairing: Pairing, path: str) -> bool:
    if path.endswith(f"{LISTED}.metadata.resourceVersion"):
        return isinstance(expected, str) and isinstance(got, str)
    if path.endswith(".resourceVersion") and str(expected).isdigit() and str(got).isdigit():
        return pairing.same_version(int(expected), int(got))
    if type(expected) is type(got) and expected == got:
        return True
    if isinstance(expected, int) and isinstance(got, int) and path.startswith(".wire"):
        return expected > 1_000_000_000 and abs(expected - got) < SAME_SECONDS
    if not isinstance(expected, str) or not isinstance(got, str):
        return False
    if ".wire" in path and expected.isdigit() and got.isdigit():
        return True
    return bool(
        VOLATILE_PATHS.search(path)
        or (TIME.fullmatch(expected) and TIME.fullmatch(got))
        or (AGE.fullmatch(expected) and AGE.fullmatch(got) and ".cells" in path)
        or (UID.fullmatch(expected) and UID.fullmatch(got) and pairing.same_uid(expected, got))
        or blurred(expected) == blurred(got)
    )


def blurred(text: str) -> str:
    """A longer text (a message, a YAML document) without what differs between any two servers."""
    return VERSION_TEXT.sub(r"\1<version>", TIME.sub("<time>", UID.sub("<uid>", text)))


def parting(expected: str, got: str) -> tuple[str, str]:
    """Both texts from a little before the place where they part."""
    at = next((at for at, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]), len(expected))
    start = max(0, at - SHORT // 2)
    return short(f"...{expected[start:]}"), short(f"...{got[start:]}")


def short(value: Any) -> str:
    text = "absent" if value is MISSING else repr(value)
    return text if len(text) <= SHORT else text[:SHORT] + "..."
