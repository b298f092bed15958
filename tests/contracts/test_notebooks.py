"""The notebooks as committed: short, without outputs, and given only parameters that they have."""

import nbformat
import papermill
import pytest

from ggsa.report import rendering
from ggsa.training import studies
from ggsa.workspace import paths

NAMES = sorted(path.stem for path in paths.NOTEBOOKS.glob("*.ipynb"))
EXECUTION_METADATA = {"papermill", "execution", "collapsed", "trusted"}
MOST_LINES = 24


def read(name):
    return nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture
def chapters(tmp_path, monkeypatch) -> list[rendering.Chapter]:
    """Every chapter of a page for which everything is published."""
    for name in ("BENCHMARK", "RESULTS"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    name = studies.names()[0]
    corpus = next(iter(studies.load(name).corpora))
    folders = [tmp_path / "BENCHMARK", paths.interpretability("sst2")]
    for folder in (*folders, studies.results(name, corpus) / "tables"):
        folder.mkdir(parents=True)
        (folder / "results.csv").touch()
    run = rendering.Run(
        *(tmp_path / part for part in ("tables", "statistics", "p.json", "figures"))
    )
    return [rendering.article_chapter(run, 60), *rendering.published_chapters(run, 60)]


def test_article_and_appendix_render_exactly_the_notebooks_of_the_folder(chapters):
    assert {chapter.notebook for chapter in chapters} == set(NAMES)
    names = [chapter.name for chapter in chapters]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_valid_and_names_the_kernel_python3(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == rendering.KERNEL


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_exactly_one_cell_of_parameters(name):
    tagged = [cell for cell in read(name).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert not any("injected" in str(cell.metadata) for cell in read(name).cells)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_outputs_and_traces_of_a_run(name):
    notebook = read(name)
    assert not EXECUTION_METADATA & set(notebook.metadata)
    for cell in notebook.cells:
        assert not EXECUTION_METADATA & set(cell.metadata)
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_knows_every_parameter_that_it_is_given(name, chapters):
    known = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{name}.ipynb"))
    given = [chapter.parameters for chapter in chapters if chapter.notebook == name]
    assert given and all(set(known) == set(parameters) for parameters in given)


@pytest.mark.parametrize("name", NAMES)
def test_the_code_cells_of_a_notebook_are_short(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in cells) <= MOST_LINES
