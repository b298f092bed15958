"""What tiers share: the repository's root, the mirror of assets where found, and a whole report."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]


TOGETHER = {"test_whole_graph": "clone", "test_documented_commands": "clone"}
"""Files that share what is costly to make, and so a worker, in the order in which they run; any
other file has a worker to itself."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together where several run at a time, those that take longest first."""
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
        pytest.skip(
            "wants real SST-2: no mirror folder beside the repository, none in $GGSA_MIRROR"
        )
    return folder


@pytest.fixture(scope="session")
def published_workspace(tmp_path_factory) -> Path:
    """A workspace as the published run left it; what is not published, its counts, is made up."""
    from finished_run import write_run

    published = ROOT / "reports" / "published"
    if not (published / "metrics.json").is_file():
        pytest.skip("no run is published yet: `make publish` writes reports/published")
    folder = tmp_path_factory.mktemp("published")
    write_run(folder)
    for name in ("notebooks", "studies", "DEVIATIONS.md", "params.yaml", "reports/published"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(published / "tables", folder / "reports/tables", dirs_exist_ok=True)
    shutil.copyfile(published / "provenance.json", folder / "data/corpus/provenance.json")
    (folder / "reports/figures").mkdir()
    return folder


@pytest.fixture(scope="session")
def report_page(published_workspace: Path) -> Path:
    """The report of the published run as today's code makes it, without starting kernels."""
    from ggsa.report import page, rendering
    from ggsa.workspace import config, paths

    with contextlib.chdir(published_workspace):
        params = config.load()
        told = {name: rendering.notebook_parameters(params, name) for name in rendering.NOTEBOOKS}
        fragments = {
            name: rendering.as_fragment(run_here(paths.NOTEBOOKS / f"{name}.ipynb", parameters))
            for name, parameters in told.items()
        }
        paths.REPORT.write_text(page.build(params, fragments), encoding="utf-8")
    return published_workspace / paths.REPORT


def run_here(path: Path, parameters: dict) -> nbformat.NotebookNode:
    """Return a notebook with its outputs, its cells run in this process."""
    from ggsa.report import sections

    notebook, names = nbformat.read(path, as_version=4), {}
    with shown_to(sections) as take:
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"{path.stem}-{number}"
            if cell.cell_type == "code":
                exec(cell.source, names)
                names |= parameters if "parameters" in cell.metadata.get("tags", []) else {}
                cell.outputs = [
                    nbformat.v4.new_output("display_data", {"text/html": fragment})
                    for fragment in take()
                ]
    return notebook


@contextlib.contextmanager
def shown_to(module):
    """Collect what `module.show` is given instead of displaying it."""
    given: list[str] = []

    def take() -> list[str]:
        fragments = given.copy()
        given.clear()
        return fragments

    before: Callable[[str], None] = module.show
    module.show = given.append
    try:
        yield take
    finally:
        module.show = before
