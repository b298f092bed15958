"""From notebooks to HTML: execute each with papermill and join what they display into one page.

Two renderings of equal tables are byte-identical: nothing that a kernel adds on its own (times,
random cell ids, warnings) reaches the page.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from traitlets import default
from traitlets.config import Config

from ggsa.report import claims, page, style
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.artifacts import write_text
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

KERNEL = "python3"
START_SECONDS = 120
HAS_IPC = os.name == "posix"
"""Whether kernels can use sockets in a private folder, not ports that are open to every local user."""
INTERPRETABILITY = ("sst2", "probe")
FOREIGN = ("JUPYTER_PATH", "PYTHONSTARTUP")
"""Variables by which a user's own kernels, templates and start-up code would reach the page."""


class ThisInterpreter(AsyncKernelManager):
    """A manager whose kernel runs in this interpreter, whatever kernels are installed."""

    @default("kernel_spec_manager")
    def _no_installed_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


@dataclass(frozen=True)
class Run:
    """Where the files of a run are: of the latest one, or of the published one."""

    tables: Path
    statistics: Path
    provenance: Path
    figures: Path

    def parameters(self, figure_dpi: int) -> dict[str, Any]:
        """Return the parameters that a notebook on this run takes."""
        return {name: str(path) for name, path in asdict(self).items()} | {"figure_dpi": figure_dpi}


@dataclass(frozen=True)
class Chapter:
    """A notebook of the page with its parameters.

    Attributes:
        name: Prefix of the anchors of its headings; unique in the page.
        notebook: Name of its file in notebooks/, without the suffix.
        parameters: What replaces the values of the cell tagged `parameters`.
        command: What computes the numbers that it shows.
    """

    name: str
    notebook: str
    parameters: Mapping[str, Any]
    command: str = "make repro"


def render(params: Params) -> None:
    """Write reports/report.html and reports/figures/*.png from the tables of the latest run.

    Raises:
        UserError: If a table is missing or malformed, or a notebook fails or exceeds
            `report.timeout_seconds` per cell; the message names the partly executed notebook.
    """
    for old in paths.FIGURES.glob("*.png"):
        old.unlink()
    run = Run(paths.TABLES, paths.RULES / "statistics", paths.provenance(), paths.FIGURES)
    chapters = [
        *core_chapters(run, params.report.figure_dpi),
        record(run, params.report.figure_dpi),
    ]
    text = sections(chapters, params.report.timeout_seconds)
    asked = claims.run_claims(run.tables)
    write_text(paths.REPORT, page.build(params, run.tables, run.provenance, text, asked))


def core_chapters(run: Run, figure_dpi: int) -> list[Chapter]:
    """Return the chapters on one run, in the order of the page."""
    names = ("corpus", "rules", "results", "cost", "attention")
    return [Chapter(name, name, run.parameters(figure_dpi)) for name in names]


def published_chapters(run: Run, figure_dpi: int) -> list[Chapter]:
    """Return the chapters of the published page: the run, measured times, and every study.

    Only what is published has a chapter.
    """
    chapters = core_chapters(run, figure_dpi)
    shared = {"figures": str(run.figures), "figure_dpi": figure_dpi}
    if (paths.BENCHMARK / "results.csv").is_file():
        given = {"benchmark": str(paths.BENCHMARK), **shared}
        times = Chapter("times", "times", given, "make bench")
        chapters.insert(1 + [chapter.name for chapter in chapters].index("cost"), times)
    for corpus in INTERPRETABILITY:
        folder = paths.interpretability(corpus)
        if any(folder.glob("*.csv")):
            given = {"corpus": corpus, "folder": str(folder)}
            name, command = f"interpretability-{corpus}", "make study NAME=interpretability"
            chapters.append(Chapter(name, "interpretability", given, command))
    for study, corpus in published_studies():
        folder = studies.results(study, corpus)
        given = {"study": study, "corpus": corpus, "folder": str(folder), **shared}
        command = f"make study NAME={study}"
        chapters.append(Chapter(f"study-{study}-{corpus}", "study", given, command))
    return [*chapters, record(run, figure_dpi, published_studies())]


def published_studies() -> list[tuple[str, str]]:
    """Return the studies that have published tables, with the corpus."""
    return [
        (name, corpus)
        for name in studies.names()
        for corpus in studies.load(name).corpora
        if any((studies.results(name, corpus) / "tables").glob("*.csv"))
    ]


def record(run: Run, figure_dpi: int, published: Sequence[tuple[str, str]] = ()) -> Chapter:
    """Return the chapter on what was run and where it came from, the last of every page."""
    given = {**run.parameters(figure_dpi), "published": [list(study) for study in published]}
    return Chapter("record", "record", given)


def article_chapter(run: Run, figure_dpi: int) -> Chapter:
    """Return the notebook of the article."""
    given = {"studies": str(paths.RESULTS), "benchmark": str(paths.BENCHMARK)}
    given |= run.parameters(figure_dpi)
    return Chapter("article", "article", given, "make publish-studies")


def sections(chapters: Sequence[Chapter], timeout_seconds: int) -> dict[str, str]:
    """Return the HTML of every chapter, in which each figure and table names its source.

    Their figures are also written as files.

    Args:
        chapters: In the order of the page.
        timeout_seconds: How long any one cell of a notebook may take.
    """
    texts = {}
    for chapter in track(chapters, len(chapters), "render", "notebook"):
        path = paths.NOTEBOOKS / f"{chapter.notebook}.ipynb"
        notebook = execute(path, chapter.parameters, timeout_seconds)
        text = as_fragment(stripped(notebook, chapter.name))
        source = f"<code>{path.as_posix()}</code>, <code>{chapter.command}</code>"
        texts[chapter.name] = text.replace(style.SOURCE, source)
    return texts


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
    with tempfile.TemporaryDirectory() as folder, _kernel_environment() as runtime:
        partial = Path(folder) / path.name
        connection = {"transport": "ipc", "ip": str(runtime / "kernel")} if HAS_IPC else {}
        try:
            return papermill.execute_notebook(
                str(path),
                str(partial),
                parameters=dict(parameters),
                kernel_name=KERNEL,
                kernel_manager_class=ThisInterpreter,
                language="python",
                progress_bar=False,
                record_timing=False,
                log_output=False,
                execution_timeout=timeout_seconds,
                start_timeout=START_SECONDS,
                config=Config({"KernelManager": connection}),
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
                print(f"{name}: {output.text.rstrip()}", file=sys.stderr)
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
def _kernel_environment() -> Iterator[Path]:
    """Make kernels import this copy of the package, and keep the user's Jupyter settings out.

    Yield a folder of their own, for sockets too.
    """
    source = str(Path(__file__).resolve().parents[2])
    before = dict(os.environ)
    # The name of a socket must be short; the system's temporary folder may have a long name.
    short = "/tmp" if HAS_IPC and Path("/tmp").is_dir() else None
    runtime = tempfile.TemporaryDirectory(prefix="ggsa-", dir=short)
    for name in FOREIGN:
        os.environ.pop(name, None)
    profile = Path(runtime.name, "profile_default")
    profile.mkdir()
    # A kernel that Ctrl-C stops would log an error of its own; what cells raise comes back to papermill.
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 50\n")
    os.environ["IPYTHONDIR"] = runtime.name
    os.environ["JUPYTER_RUNTIME_DIR"] = runtime.name
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ["PYTHONHASHSEED"] = "0"
    rest = [entry for entry in before.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *rest])
    try:
        yield Path(runtime.name)
    finally:
        os.environ.clear()
        os.environ.update(before)
        runtime.cleanup()


def _failure(path: Path, partial: Path, failed: Path, reason: str) -> UserError:
    kept, problem = failed / path.name, f"The notebook {path} failed: {reason.rstrip('.')}."
    try:
        if partial.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(partial, kept)
    except OSError as error:  # a full disk is likely to be the cause of the failure, too
        return UserError(
            f"{problem} Its outputs up to the failure could not be kept in {kept} "
            f"({error.strerror}). Fix the cause, then run `dvc repro` again."
        )
    return UserError(
        f"{problem} Its outputs up to the failure are in {kept}: open it there, fix the cause, "
        f"then run `dvc repro` again."
    )
