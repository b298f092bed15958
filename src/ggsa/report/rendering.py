"""From notebooks to HTML: run each in a kernel of this environment, and join what they show.

Place in the data flow: called by the stage `report`. Two renderings of equal tables are equal to
the byte: nothing that a kernel adds of itself (times, random cell ids, warnings) reaches the page.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

import ggsa
from ggsa.report import page
from ggsa.workspace import paths
from ggsa.workspace.artifacts import write_text
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

NOTEBOOKS = ("corpus", "rules", "results", "cost", "attention", "studies")
KERNEL = "python3"
START_SECONDS = 120
# Sockets in a private folder where the system has them, rather than ports open to every local user.
TRANSPORT = "ipc" if os.name == "posix" else "tcp"


def render(params: Params) -> None:
    """Write reports/report.html and reports/figures/*.png from the tables of the latest run.

    Raises:
        UserError: If a table is missing or malformed, or a notebook fails or exceeds
            `report.timeout_seconds` per cell; the message names the partly executed notebook.
    """
    for old in paths.FIGURES.glob("*.png"):
        old.unlink()
    paths.FIGURES.mkdir(parents=True, exist_ok=True)
    sections = {}
    for name in track(NOTEBOOKS, len(NOTEBOOKS), "render", "notebook"):
        notebook = execute(
            paths.NOTEBOOKS / f"{name}.ipynb",
            notebook_parameters(params, name),
            params.report.timeout_seconds,
        )
        sections[name] = as_fragment(stripped(notebook, name))
    write_text(paths.REPORT, page.build(params, sections))


def notebook_parameters(params: Params, name: str) -> dict[str, Any]:
    """Return what a notebook is told: where the tables lie, where figures go, how sharp."""
    if name == "studies":
        return {
            "studies": str(paths.RESULTS),
            "figures": str(paths.FIGURES),
            "figure_dpi": params.report.figure_dpi,
        }
    extra = {"benchmark": str(paths.BENCHMARK)} if name == "cost" else {}
    return extra | {
        "tables": str(paths.TABLES),
        "statistics": str(paths.RULES / "statistics"),
        "provenance": str(paths.provenance()),
        "figures": str(paths.FIGURES),
        "figure_dpi": params.report.figure_dpi,
    }


def execute(
    path: Path,
    parameters: Mapping[str, Any],
    timeout_seconds: int,
    failed: Path = paths.FAILED_NOTEBOOKS,
) -> nbformat.NotebookNode:
    """Return a notebook with its outputs.

    Args:
        path: The notebook, with one cell tagged `parameters`.
        parameters: What replaces the values of that cell.
        timeout_seconds: How long any one cell may take.
        failed: Where the partial output of a notebook that fails is kept.

    Raises:
        UserError: If the notebook is missing, fails or takes too long, or has no kernel to run in.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist. Restore it: `git checkout -- {path}`.")
    with tempfile.TemporaryDirectory() as folder, _kernel_environment():
        partial = Path(folder) / path.name
        try:
            return papermill.execute_notebook(
                str(path),
                str(partial),
                parameters=dict(parameters),
                kernel_name=KERNEL,
                language="python",
                progress_bar=False,
                record_timing=False,
                log_output=False,
                execution_timeout=timeout_seconds,
                start_timeout=START_SECONDS,
                config=Config({"KernelManager": {"transport": TRANSPORT}}),
            )
        except NoSuchKernel as error:
            raise UserError(
                f"{path} needs the Jupyter kernel {KERNEL}, which this environment lacks. "
                f"Install it: `pip install ipykernel`."
            ) from error
        except CellTimeoutError as error:
            reason = f"a cell took longer than report.timeout_seconds ({timeout_seconds})"
            raise _failure(path, partial, failed, reason) from error
        except PapermillExecutionError as error:
            reason = f"{error.ename}: {error.evalue}".strip()
            raise _failure(path, partial, failed, reason) from error
        except (CellExecutionError, DeadKernelError) as error:
            raise _failure(path, partial, failed, str(error).strip()) from error


def stripped(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Return a notebook without anything that differs between two runs of the same cells.

    What cells print goes to the terminal instead of the page.
    """
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = nbformat.from_dict({"kernelspec": notebook.metadata.get("kernelspec", {})})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name}-{number}"
        cell["metadata"] = nbformat.from_dict({"tags": cell.metadata.get("tags", [])})
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        for output in cell.outputs:
            if output.output_type == "stream":
                print(f"notebooks/{name}.ipynb: {output.text.rstrip()}", file=sys.stderr)
        cell.outputs = [output for output in cell.outputs if output.output_type != "stream"]
        for output in cell.outputs:
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output.execution_count = None
    return notebook


def as_fragment(notebook: nbformat.NotebookNode) -> str:
    """Return the text and the outputs of a notebook as HTML, without its code."""
    with _kernel_environment():
        exporter = HTMLExporter(
            template_name="basic",
            exclude_input=True,
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            exclude_anchor_links=True,
        )
        body, _ = exporter.from_notebook_node(notebook)
    return body


@contextmanager
def _kernel_environment() -> Iterator[None]:
    """Make kernels come from this environment and import this copy of the package."""
    source = str(Path(ggsa.__file__).resolve().parents[1])
    before = dict(os.environ)
    # The name of a socket has to be short, which that of the temporary folder is not everywhere.
    short = "/tmp" if TRANSPORT == "ipc" and Path("/tmp").is_dir() else None
    runtime = tempfile.TemporaryDirectory(prefix="ggsa-", dir=short)
    os.environ["JUPYTER_RUNTIME_DIR"] = runtime.name
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ["PYTHONHASHSEED"] = "0"
    rest = [entry for entry in before.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *rest])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        runtime.cleanup()


def _failure(path: Path, partial: Path, failed: Path, reason: str) -> UserError:
    kept = failed / path.name
    if partial.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(partial, kept)
    return UserError(
        f"The notebook {path} failed: {reason.rstrip('.')}. As far as it came, with its outputs, "
        f"it is kept as {kept}; open it there, mend what it names, then run `dvc repro` again."
    )
