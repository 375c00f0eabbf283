"""The recorded incidents that come with ledger: docs/examples/ of a checkout, or the share/ directory of an installation."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2] / "docs" / "examples"
INSTALLED = "share/ledger/examples/"  # pyproject.toml, data-files


def examples() -> dict[str, Path]:
    """Folders of incidents by name; none when the files were left out of the installation."""
    if CHECKOUT.is_dir():
        return {path.parent.name: path.parent for path in sorted(CHECKOUT.glob("*/audit.jsonl.gz"))}
    try:
        installed = files("ledger") or []
    except PackageNotFoundError:
        installed = []
    found = [
        Path(str(one.locate())) for one in installed if INSTALLED in one.as_posix() and one.name == "audit.jsonl.gz"
    ]
    return {path.parent.name: path.parent.resolve() for path in sorted(found)}
