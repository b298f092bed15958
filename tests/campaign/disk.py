"""Every stage runs out of space: on a small tmpfs, or under a limit of file sizes.

It must end with a message, without a traceback, and leave no part of a file; with space, the same
command must leave bit by bit what an undisturbed run leaves.
"""

import resource
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import tiny
from kills import complete, undisturbed
from outcomes import Outcomes

from ggsa.workspace.progress import progress_bar

SHARES = (0.0, 0.3, 0.6, 0.9)
"""Of the space that a stage needs for what it writes."""


def fill_disks(folder: Path, outcomes: Outcomes, only: Collection[str]) -> None:
    """Run every stage with too little space."""
    finished = folder / "finished"
    if not finished.exists():
        tiny.build(finished)
    means = "tmpfs" if may_mount(folder / "mounted") else "RLIMIT_FSIZE"
    print(f"Space is limited by {means}.", flush=True)
    stages = [name for name in tiny.STAGES if not only or name in only]
    with progress_bar("disk full", len(stages) * len(SHARES), "trial") as bar:

        def fill(name: str) -> None:
            trial, mounted = folder / f"trial-{name}", folder / f"mounted-{name}"
            _, expected, _ = undisturbed(finished, trial, name, tiny.stage(name))
            written = [finished / path for path in outputs(name)]
            for share in SHARES:
                if means == "tmpfs":
                    end = on_tmpfs(finished, mounted, name, written, share, expected)
                else:
                    end = with_small_files(finished, trial, name, written, share, expected)
                outcomes.add(f"disk full ({means}), {name}", f"{share:.0%} of the space", end)
                bar.set_postfix_str(name)
                bar.update()

        tiny.two_at_a_time(fill, stages)


def outputs(name: str) -> list[str]:
    """Return the paths that a stage writes."""
    return {
        "check": ["data/checked.json"],
        "download": ["data/corpus", "data/encoder", "data/tagger"],
        "tag": ["data/tags"],
        "rules": ["data/rules"],
        "train": ["runs/core/hard-1"],
        "evaluate": ["reports/metrics.json", "reports/plots", "reports/tables"],
        "report": ["reports/figures", "reports/report.html"],
    }[name]


def script(name: str) -> tuple[str, ...]:
    """Return the command of a stage without DVC, which needs space of its own."""
    arguments = ("--mode", "hard", "--seed", "1") if name == "train" else ()
    return ("python3", "-m", f"stages.{name}", *arguments)


def size(paths: list[Path]) -> int:
    """Return the bytes of all files in some paths, each in whole pages."""
    files = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*"))]
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in files if file.is_file())


def remove(folder: Path, name: str) -> None:
    """Remove what a stage wrote, as DVC does before it runs the stage."""
    for path in outputs(name):
        target = folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    tiny.forget(folder, name)


def stopped(trial: Path, name: str, share: float, preexec: object = None) -> str:
    """Run a stage that lacks space; return what is wrong with its end, or nothing."""
    done = subprocess.run(
        script(name), cwd=trial, env=tiny.surroundings(), capture_output=True, text=True,
        timeout=900, check=False, preexec_fn=preexec,
    )  # fmt: skip
    if "Traceback" in done.stderr:
        return f"a traceback: {done.stderr[-400:]}"
    if not (done.returncode or share):
        return "finished without any space"
    if done.returncode and not done.stderr.strip():
        return f"exit status {done.returncode} without a message"
    partial = [path for path in trial.rglob(".*.????????") if ".git" not in path.parts]
    partial = [path for path in partial if ".dvc" not in path.parts]
    return f"left {', '.join(map(str, partial))}" if partial else ""


def on_tmpfs(
    finished: Path, mounted: Path, name: str, written: list[Path], share: float,
    expected: dict[str, str],
) -> str:  # fmt: skip
    """Run a stage on a file system that holds the workspace and a share of what it writes."""
    with mount(mounted, 1 << 30):
        trial = mounted / "trial"
        shutil.copytree(finished, trial, symlinks=True)
        remove(trial, name)
        needed = shutil.disk_usage(mounted).used + int(share * size(written))
        subprocess.run(["mount", "-o", f"remount,size={needed}", mounted], check=True)
        end = stopped(trial, name, share)
        subprocess.run(["mount", "-o", f"remount,size={1 << 30}", mounted], check=True)
        return end or again(trial, name, expected)


def with_small_files(
    finished: Path, target: Path, name: str, written: list[Path], share: float,
    expected: dict[str, str],
) -> str:  # fmt: skip
    """Run a stage that may not write files above a share of the largest one that it writes."""
    files = [f for path in written for f in ([path] if path.is_file() else path.rglob("*"))]
    largest = int(share * max(file.stat().st_size for file in files if file.is_file()))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    with tiny.copy_of(finished, target) as trial:
        remove(trial, name)
        return stopped(trial, name, share, limit) or again(trial, name, expected)


def again(trial: Path, name: str, expected: dict[str, str]) -> str:
    """Run a stage with space; return `same bytes`, or what is wrong."""
    end = complete(trial, tiny.stage(name))
    if end:
        return f"with space: {end}"
    changed = tiny.differences(expected, tiny.contents(trial))
    return f"with space, these files differ: {changed}" if changed else "same bytes"


def may_mount(folder: Path) -> bool:
    """Return whether this user may mount a tmpfs."""
    try:
        with mount(folder, 1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def mount(folder: Path, size: int) -> Iterator[None]:
    """Mount a tmpfs of a size in bytes."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
