"""DVC as a command: what it prints, and its stages, whose output goes to a log."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ggsa.workspace import paths
from ggsa.workspace.errors import UserError

LOGS = paths.CACHE / "studies"
WAITING = ("dvc", "--wait-for-lock")
"""DVC waits for its lock without a limit: a cell that finds it taken after minutes of training would
otherwise fail."""
KILLED = re.compile(r"exited with (-9|137)\b")
"""What DVC says of a stage whose process, or whose shell's, ended by SIGKILL."""


def output(*arguments: str) -> str:
    """Return what a command of DVC prints.

    Raises:
        UserError: If it fails; holds what it said.
    """
    done = subprocess.run([*WAITING, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"`dvc {' '.join(arguments)}` failed:\n  {done.stderr.strip()}")
    return done.stdout


def status(*targets: str) -> dict[str, list[Any]]:
    """Return what is not up to date, by stage, named as `dvc repro` takes it."""
    return json.loads(output("status", "--json", *targets))


def reproduce(log: str, target: str, single: bool = True, force: bool = False) -> None:
    """Run `dvc repro` on one target, even if it is up to date under `force`, its output in a log.

    Raises:
        UserError: If it fails; holds the end of the log.
    """
    options = [*(["--single-item"] if single else []), *(["--force"] if force else [])]
    _logged(log, ["repro", *options, target], target)


def commit(log: str, stages: Sequence[str], name: str) -> None:
    """Record the outputs of stages that were made elsewhere.

    Raises:
        UserError: If it fails; holds the end of the log.
    """
    _logged(log, ["commit", "--force", *stages], name)


def _logged(log: str, arguments: Sequence[str], name: str) -> None:
    path = log_file(log)
    with path.open("w", encoding="utf-8") as file:
        command = [*WAITING, *arguments]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        raise failure(name, path)


def log_file(name: str) -> Path:
    """Return the path of a log, in a directory that exists."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{name}.log"


def failure(name: str, log: Path) -> UserError:
    """Return the error for something that failed, with the end of its log."""
    last = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return UserError(
        f"{name} failed; {log} ends with:\n  " + "\n  ".join(last[-6:]) + _killed(last)
    )


def _killed(lines: Sequence[str]) -> str:
    """Return what to do if a log says that its process was killed; else nothing."""
    if not any(KILLED.search(line) for line in lines):
        return ""
    return (
        "\nThe process was killed from outside (signal 9), most often because memory ran out. Run "
        "the same command with JOBS=1, so that one cell is trained at a time, or lower the "
        "recipe's batch_size in params.yaml. Training continues from the last evaluation."
    )
