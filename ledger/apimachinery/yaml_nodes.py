"""The nodes of a YAML text's first document, from the events that libyaml makes of it."""

from __future__ import annotations

from typing import Any

import yaml
from yaml import cyaml

from ledger.apimachinery.yaml_codec import DEPTH_MAX, Node, YamlError


def first_document(data: bytes) -> Node | None:
    try:
        parser = cyaml.CParser(data)  # type: ignore[attr-defined]
        try:
            return _compose(parser)
        finally:
            parser.dispose()
    except yaml.reader.ReaderError as error:
        raise YamlError(f"yaml: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"yaml: {_where(error)}{error.problem or 'unknown problem parsing YAML content'}") from None


def _where(error: yaml.MarkedYAMLError) -> str:
    scanner = isinstance(error, yaml.scanner.ScannerError)
    if error.problem_mark is not None and error.problem_mark.line:
        return f"line {error.problem_mark.line + scanner}: "
    if error.context_mark is not None and error.context_mark.line:
        return f"line {error.context_mark.line}: "
    return ""


def _compose(parser: Any) -> Node | None:
    """The node tree of the first document, built with a stack of open collections."""
    anchors: dict[str, Node] = {}
    open_nodes: list[Node] = []
    root: Node | None = None
    while True:
        event = parser.get_event()
        if isinstance(event, (yaml.StreamEndEvent, yaml.DocumentEndEvent)):
            return root
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            open_nodes.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event, anchors)
        if open_nodes:
            open_nodes[-1].children.append(node)
        else:
            root = node
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append(node)
            if len(open_nodes) > DEPTH_MAX:
                raise YamlError(f"yaml: exceeded max depth of {DEPTH_MAX}")


def _node(event: Any, anchors: dict[str, Node]) -> Node:
    line = event.start_mark.line
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise YamlError(f"yaml: unknown anchor '{event.anchor}' referenced")
        return Node(line, "alias", event.anchor, target=anchors[event.anchor])
    if isinstance(event, yaml.ScalarEvent):
        node = Node(line, "scalar", event.value, event.tag or "", bool(event.implicit[0]))
    else:
        node = Node(line, "list" if isinstance(event, yaml.SequenceStartEvent) else "map", tag=event.tag or "")
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node
