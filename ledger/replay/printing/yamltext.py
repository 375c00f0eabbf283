"""YAML as kubectl prints it: sorted members, block scalars for text of several lines, no anchors."""

from __future__ import annotations

from typing import Any

import yaml


def yaml_text(value: Any, *, ascii_only: bool = False) -> str:
    """Plain JSON values as one YAML document."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=not ascii_only, width=1 << 20))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    block = "\n" in text and not any(line.endswith(" ") for line in text.split("\n"))
    if not block and _reads_as_something_else(text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


def _reads_as_something_else(text: str) -> bool:
    """Whether YAML would take the plain text for a number, a time, a boolean: kubectl quotes those doubly."""
    resolvers = yaml.SafeDumper.yaml_implicit_resolvers.get(text[:1]) or ()
    return any(pattern.match(text) for _, pattern in resolvers)


_Dumper.add_representer(str, _text)
