"""The notebooks as committed: thin, without outputs, and told only what they know."""

import nbformat
import papermill
import pytest

from ggsa.report import rendering
from ggsa.workspace import config, paths

NAMES = sorted(path.stem for path in paths.NOTEBOOKS.glob("*.ipynb"))
EXECUTION_METADATA = {"papermill", "execution", "collapsed", "trusted"}
MOST_LINES = 16


def read(name):
    return nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def test_the_report_renders_exactly_the_notebooks_of_the_folder():
    assert sorted(rendering.NOTEBOOKS) == NAMES


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
def test_a_notebook_knows_every_parameter_that_it_is_given(name):
    known = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{name}.ipynb"))
    assert set(known) == set(rendering.notebook_parameters(config.load(), name))


@pytest.mark.parametrize("name", NAMES)
def test_the_code_cells_of_a_notebook_are_short(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in cells) <= MOST_LINES
