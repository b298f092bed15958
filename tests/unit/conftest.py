"""What several unit tests share."""

from pathlib import Path

import pytest
from small_corpus import write_corpus

from ggsa.workspace import paths


@pytest.fixture
def small_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose splits have 60 sentences each, with random words, tags and labels."""
    for name in ("CORPUS", "TAGS", "ENCODER"):
        monkeypatch.setattr(paths, name, tmp_path / "data" / name.lower())
    write_corpus()
    return tmp_path
