"""What every tier shares: the root of the repository and, where found, the mirror of assets."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def mirror() -> Path:
    folder = Path(os.environ.get("GGSA_MIRROR") or ROOT.parent / "shared" / "mirror")
    if not folder.is_dir():
        pytest.skip(
            "wants real SST-2: no mirror folder beside the repository, none in $GGSA_MIRROR"
        )
    return folder
