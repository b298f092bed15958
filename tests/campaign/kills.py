"""Stages and studies are killed at random moments, and run again by the same command.

What is left must be bit by bit what an undisturbed run leaves, and Git must see no difference. DVC
rewrites dvc.lock in place, so that a kill may leave a part of it. If DVC then refuses it, the README's
remedy is applied: Git restores the file. After a stage, `dvc repro` completes it from DVC's cache.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

import tiny
from outcomes import Outcomes

from ggsa.workspace.progress import progress_bar

LIMIT = 900
"""Longest time that a command may take, in seconds."""


def kill_stages(
    folder: Path, outcomes: Outcomes, kills: int, seed: int, only: Collection[str]
) -> None:
    """Kill every stage and every study a number of times, two of them at a time."""
    finished = folder / "finished"
    if not finished.exists():
        tiny.build(finished)
    commands = {name: tiny.stage(name) for name in tiny.STAGES}
    commands |= {name: tiny.study(name) for name in tiny.STUDIES}
    chosen = [name for name in commands if not only or name in only]
    with progress_bar("kill -9", len(chosen) * kills, "kill") as bar:

        def kill(name: str) -> None:
            trial, command = folder / f"trial-{name}", commands[name]
            seconds, expected, status = undisturbed(finished, trial, name, command)
            chance = random.Random(f"{seed} {name}")
            for moment in sorted(chance.uniform(0, seconds) for _ in range(kills)):
                with tiny.copy_of(finished, trial):
                    end = killed(trial, name, command, moment, expected, status)
                outcomes.add(f"kill -9, {name}", f"after {moment:.2f} s", end)
                bar.set_postfix_str(name)
                bar.update()

        tiny.two_at_a_time(kill, chosen)


def killed(
    trial: Path, name: str, command: tuple[str, ...], moment: float,
    expected: dict[str, str], status: str,
) -> str:  # fmt: skip
    """Kill a stage or a study at a moment, run it again, and return what is left."""
    tiny.forget(trial, name)
    end = killed_and_again(trial, command, moment)
    if not end and name in tiny.STAGES:
        end = complete(trial, ("dvc", "repro"))
    if end:
        return end
    if changed := tiny.differences(expected, tiny.contents(trial)):
        return f"these files differ: {changed}"
    now = git_status(trial)
    return "same bytes" if now == status else f"Git sees other changes: {now}"


def undisturbed(
    finished: Path, target: Path, name: str, command: tuple[str, ...]
) -> tuple[float, dict[str, str], str]:
    """Return how long a command takes, and the files and Git's status that it leaves."""
    with tiny.copy_of(finished, target) as trial:
        tiny.forget(trial, name)
        started = time.monotonic()
        end = complete(trial, command)
        if end:
            raise SystemExit(f"{name} fails undisturbed: {end}")
        return time.monotonic() - started, tiny.contents(trial), git_status(trial)


def killed_and_again(folder: Path, command: tuple[str, ...], moment: float) -> str:
    """Kill a command and all its processes, run it again, and return why that failed, if it did."""
    process = subprocess.Popen(
        command, cwd=folder, env=tiny.surroundings(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    end = complete(folder, command)
    if "dvc.lock' " in end:
        locks = [str(path.relative_to(folder)) for path in folder.glob("**/dvc.lock")]
        subprocess.run(["git", "checkout", "--quiet", "--", *locks], cwd=folder, check=True)
        end = complete(folder, command)
    return end


def complete(folder: Path, command: tuple[str, ...]) -> str:
    """Run a command to its end; return how it failed, if it did."""
    done = subprocess.run(
        command, cwd=folder, env=tiny.surroundings(), capture_output=True, text=True,
        timeout=LIMIT, check=False,
    )  # fmt: skip
    return f"exit status {done.returncode}: {done.stderr[-500:]}" if done.returncode else ""


def git_status(folder: Path) -> str:
    """Return what Git sees as changed."""
    command = ["git", "status", "--porcelain"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
