"""Notebooks executed in this process: a kernel takes seconds to start."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import nbformat


def run_here(path: Path, parameters: dict, timeout_seconds: int = 0) -> nbformat.NotebookNode:
    """Return a notebook with its outputs, its cells run in this process."""
    from ggsa.report import style

    notebook, names = nbformat.read(path, as_version=4), {}
    with shown_to(style) as take:
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
