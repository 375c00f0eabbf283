"""Which level and version a namespace's labels ask for, and what of it a pod violates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from ledger.admission.podsecurity.baseline import BASELINE
from ledger.admission.podsecurity.pod import Check, Violation
from ledger.admission.podsecurity.restricted import OVERRIDES, RESTRICTED
from ledger.apimachinery import field as fields
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.resource import Object

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
LATEST = -1
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


class LevelVersion(NamedTuple):
    level: str = "privileged"
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.level)


@dataclass(frozen=True, slots=True)
class Policy:
    enforce: LevelVersion
    audit: LevelVersion
    warn: LevelVersion
    errors: tuple[FieldError, ...] = ()

    @property
    def is_privileged(self) -> bool:
        return all(one.level == "privileged" for one in (self.enforce, self.audit, self.warn))


def policy_of(labels: Mapping[str, str]) -> Policy:
    """What the labels say. A wrong enforce level means restricted; the other modes then see nothing."""
    errors: list[FieldError] = []
    found: dict[str, LevelVersion] = {}
    for mode, otherwise in (("enforce", "restricted"), ("audit", "privileged"), ("warn", "privileged")):
        level, minor = "privileged", LATEST
        if (text := labels.get(PREFIX + mode)) is not None:
            level = text if text in LEVELS else otherwise
            if text not in LEVELS:
                why = f"must be one of {', '.join(LEVELS)}"
                errors.append(fields.invalid(f"metadata.labels[{PREFIX}{mode}]", text, why))
        if (text := labels.get(f"{PREFIX}{mode}-version")) is not None and text != "latest":
            match = _VERSION.fullmatch(text)
            if match is None:
                why = 'must be "latest" or "v1.x"'
                errors.append(fields.invalid(f"metadata.labels[{PREFIX}{mode}-version]", text, why))
            else:
                minor = int(match[1])
        found[mode] = LevelVersion(level, minor)
    enforce, warn = found["enforce"], found["warn"]
    if PREFIX + "warn" not in labels and labels.get(PREFIX + "enforce") in LEVELS and enforce.strictness > 0:
        warn = LevelVersion(enforce.level, warn.minor if f"{PREFIX}warn-version" in labels else enforce.minor)
    return Policy(enforce, found["audit"], warn, tuple(errors))


def violations(wanted: LevelVersion, metadata: Object, spec: Object) -> list[Violation]:
    annotations = metadata.get("annotations") or {}
    return [found for check in _checks(wanted) if (found := check(spec, annotations)) is not None]


@cache
def _checks(wanted: LevelVersion) -> tuple[Check, ...]:
    """Baseline checks first, then restricted ones, each by name."""
    if wanted.level == "privileged":
        return ()
    minor = 1 << 30 if wanted.minor == LATEST else wanted.minor
    baseline = {name: check for name, versions in BASELINE.items() if (check := _as_of(versions, minor))}
    restricted: dict[str, Check] = {}
    if wanted.level == "restricted":
        restricted = {name: check for name, versions in RESTRICTED.items() if (check := _as_of(versions, minor))}
        for name in restricted:
            baseline.pop(OVERRIDES.get(name, ""), None)
    ordered = [checks[name] for checks in (baseline, restricted) for name in sorted(checks)]
    return tuple(ordered)


def _as_of(versions: Mapping[int, Check], minor: int) -> Check | None:
    since = max((one for one in versions if one <= minor), default=None)
    return None if since is None else versions[since]
