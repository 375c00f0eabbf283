"""What a start loads: each module costs every start, so what few servers use waits for the first who asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = (  # and what for
    "h2",  # the first HTTP/2 connection
    "h11",  # the first webhook or extension server
    "yaml",  # the first body in YAML
    "re2",  # the first custom resource
    "ledger.scheme.cel",
    "ledger.scheme.custom_validation",
    "ledger.scheme.strategies.validation.pod_spec",  # the first pod
    "ledger.scheme.strategies.validation.services",
    "ledger.scheme.printers.pods",  # the first table
    "ledger.apimachinery.yaml_text",  # the first answer in YAML
    "ledger.scheme.openapi",  # the first document
    "html.entities",  # the first proxied page
)


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    program = "import sys, ledger.cli.main, ledger.cli.serve, ledger.server.serve; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize("module", LATER)
def test_a_start_does_not_load(module: str, loaded: set[str]) -> None:
    assert module not in loaded
    assert "ledger.wire.http1" in loaded
