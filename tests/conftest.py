"""What the tiers share: the repository's root, the mirror of assets if there is one, and a page."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from in_process import run_here

ROOT = Path(__file__).resolve().parents[1]


TOGETHER = {
    "test_whole_graph": "clone",
    "test_study_run": "clone",
    "test_documented_commands": "clone",
}
"""Test files that share a costly fixture, and therefore a worker, in the order in which they run.
Every other file has a worker of its own."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one worker, and start those that take longest first."""
    for item in items:
        name = item.path.stem
        item.add_marker(pytest.mark.xdist_group(TOGETHER.get(name, name)))
    order = list(TOGETHER)  # documented commands last: one of them removes an experiment
    items.sort(
        key=lambda item: (
            item.path.parent.name != "pipeline",
            order.index(item.path.stem) if item.path.stem in order else len(order),
        )
    )


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def mirror() -> Path:
    folder = Path(os.environ.get("GGSA_MIRROR") or ROOT.parent / "shared" / "mirror")
    if not folder.is_dir():
        pytest.skip("needs real SST-2: no mirror beside the repository, and none in $GGSA_MIRROR")
    return folder


@pytest.fixture(scope="session")
def published_workspace(tmp_path_factory) -> Path:
    """A workspace with everything published here, and a copy of the published run to write to."""
    published = ROOT / "reports" / "published"
    if not (published / "tables" / "differences.csv").is_file():
        pytest.skip("no run is published yet: `make publish` writes reports/published")
    folder = tmp_path_factory.mktemp("published")
    (folder / "reports").mkdir()
    for name in ("notebooks", "studies", "DEVIATIONS.md", "params.yaml", "reports/published"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(
        published, folder / "run", ignore=shutil.ignore_patterns("studies", "benchmark")
    )
    return folder


@pytest.fixture(scope="session")
def report_page(published_workspace: Path) -> Path:
    """The published page as today's code renders it, without starting kernels."""
    from ggsa.report import publish, rendering
    from ggsa.workspace import config

    with contextlib.chdir(published_workspace), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "execute", run_here)
        page = publish.published_page(config.load(Path("run/params.yaml")), Path("run"))
    path = published_workspace / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
