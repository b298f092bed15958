"""A copy of the repository in which the whole graph runs, as in a user's clone."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from ggsa.assets.probe import treebank

ROOT = Path(__file__).resolve().parents[2]
# Nothing that is published: no stage reads it.
COPIED = (
    *("Makefile", "dvc.yaml", "params.yaml", "DEVIATIONS.md", "corpora/README.md"),
    *(".dvcignore", ".gitignore", "stages", "src", "notebooks", "studies"),
)

SHORT = treebank.OPTIONS | {"max_steps": 60, "eval_interval": 30, "max_steps_before_stop": 60}
"""Options of a tagger that is trained in seconds."""


def environment() -> dict[str, str]:
    """The environment of this interpreter, with no mirror and no Hub in reach."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "GGSA_MIRROR": "/nonexistent", "HF_HUB_OFFLINE": "1"}


def run(folder: Path, *command: str, ok: bool = True) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=800
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, output[-6000:]
    return output


def edit(folder: Path, **changes: object) -> None:
    """Change parameters of a clone; a key is `block__key`."""
    content = yaml.safe_load((folder / "params.yaml").read_text())
    for key, value in changes.items():
        block, name = key.split("__")
        content[block][name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def make(folder: Path, *arguments: str, ok: bool = True) -> str:
    """Run a target of the Makefile; the environment is this interpreter's."""
    return run(folder, "make", "-o", ".venv/bin/.ready", *arguments, ok=ok)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def await_file(process: subprocess.Popen, folder: Path, pattern: str) -> None:
    """Return as soon as a running process has written a file."""
    end = time.monotonic() + 120
    while not list(folder.glob(pattern)):
        assert process.poll() is None, f"the process ended before it wrote {pattern}"
        assert time.monotonic() < end, f"{pattern} was not written"
        time.sleep(0.005)


def copy_to(folder: Path) -> None:
    """Copy what a run needs of the repository."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)


def commit(folder: Path) -> None:
    """Make a copy a repository of Git and DVC."""
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    keep(folder)


def keep(folder: Path) -> None:
    """Commit everything, a run's lock file too."""
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all")
