"""What the tiers share: the repository's root, the mirror of assets if there is one, and a page."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from in_process import run_here
from preloaded import Preloaded
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


TOGETHER = {
    "test_whole_graph": "clone",
    "test_study_run": "clone",
    "test_documented_commands": "clone",
}
"""Test files that share a costly fixture, and therefore a worker, in the order in which they run.
Every other file has a worker of its own."""


class ByFixture(LoadScopeScheduling):
    """Gives all tests of a file to one worker, and the files of `TOGETHER` to the same one.

    Not by the marker `xdist_group`: xdist 3.8 adds groups to node ids, which pytest 9.2 does not keep.
    """

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return TOGETHER.get(name, name)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFixture:
    config.option.loadscopereorder = False  # the order of `pytest_collection_modifyitems` stays
    return ByFixture(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests that take longest first."""
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


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """What runs programs at once, with no mirror and no Hub in reach."""
    environment = os.environ | {"GGSA_MIRROR": "/nonexistent", "HF_HUB_OFFLINE": "1"}
    environment.pop("TRANSFORMERS_VERBOSITY", None)
    server = Preloaded(tmp_path_factory.mktemp("preloaded"), environment)
    yield server
    server.close()


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
    for name in (
        "notebooks",
        "studies",
        "DEVIATIONS.md",
        "CITATION.cff",
        "params.yaml",
        "reports/published",
    ):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(
        published, folder / "run", ignore=shutil.ignore_patterns("studies", "benchmark")
    )
    return folder


@pytest.fixture(scope="session")
def pages(
    published_workspace: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> dict[str, Path]:
    """Article and appendix as today's code renders them, without starting kernels.

    The first worker that asks renders them, for all.
    """
    from ggsa.report import publish, rendering
    from ggsa.workspace import config

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "pages"
    paths = {"article": folder / publish.ARTICLE, "appendix": folder / publish.APPENDIX}
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with contextlib.chdir(published_workspace), pytest.MonkeyPatch.context() as patch:
                patch.setattr(rendering, "execute", run_here)
                rendered = publish.published_pages(
                    config.load(Path("run/params.yaml")), Path("run")
                )
            folder.mkdir()
            for name, text in rendered.items():
                (folder / name).write_text(text, encoding="utf-8")
    return paths
