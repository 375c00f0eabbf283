"""Certificates, made once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.wire_server import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Certificates(folder)
