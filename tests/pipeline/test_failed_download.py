"""A download that fails under DVC, which removes the outputs of other stages before they run."""

from pathlib import Path

import pytest
from workspace import bytes_of, copy_to, edit, run

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize(
    ("graph", "folder"), [("dvc.yaml", "data"), ("studies/assets/dvc.yaml", "data/paper")]
)
def test_a_failed_download_leaves_the_earlier_assets(
    graph: str, folder: str, tmp_path: Path
) -> None:
    copy_to(tmp_path)
    run(tmp_path, "dvc", "init", "--quiet", "--no-scm")
    edit(tmp_path, assets__source="hub")  # which the tests cannot reach
    kept = {}
    for name in ("corpus", "encoder", "tagger"):
        path = tmp_path / folder / name
        path.mkdir(parents=True)
        (path / "file").write_text(name)
        kept[path] = bytes_of(path)
    target = "download" if graph == "dvc.yaml" else f"{graph}:download@paper"
    said = run(tmp_path, "dvc", "repro", target, ok=False)
    assert "is unavailable" in said
    assert {path: bytes_of(path) for path in kept} == kept
