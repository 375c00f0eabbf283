"""Finds and reads the files of ledger/scheme/data, which tools/generate makes."""

from __future__ import annotations

import functools
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import orjson


def data_file(name: str) -> Traversable:
    return resources.files("ledger.scheme").joinpath("data", name)


@functools.cache
def load_json(name: str) -> Any:
    """A JSON file's content: shared, not to be changed."""
    return orjson.loads(data_file(name).read_bytes())
