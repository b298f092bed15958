"""A tiny finished run in a copy of the repository, on which stages are killed and disks filled."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import yaml
from workspace import ROOT, commit, copy_to, environment, keep, run

from ggsa.assets import probe
from ggsa.assets.probe import treebank

STAGES = ("check", "download", "tag", "rules", "train", "evaluate", "report")
STUDIES = ("small", "interpretability")
STUDY = {
    "title": "Small",
    "question": "Does it end with the same bytes?",
    "reference": "full",
    "overrides": {"train.token_masking": 0.1},  # else the cells of core are taken up
    "arms": {"full": None, "hard": None},
    "corpora": {"files": {"base": None, "seeds": [1]}},
}
NOT_COMPARED = (".git", ".cache", ".dvc/tmp", ".dvc/cache", "runs/core-seconds.csv")
"""Paths that hold times, caches or DVC's own state."""


def build(folder: Path) -> None:
    """Write a workspace in which every stage and every study has finished once."""
    folder.mkdir()
    copy_to(folder)
    (folder / "corpora/mine").mkdir()
    options = treebank.OPTIONS | {"max_steps": 60, "eval_interval": 30, "max_steps_before_stop": 60}
    treebank.trained_on(treebank.treebank(1), folder / "corpora/mine/pos.pt", 1, options)
    rows = probe.generate(1)["train"][:300]
    pd.DataFrame(
        {"text": [" ".join(row.words) for row in rows], "label": [row.label for row in rows]}
    ).to_csv(folder / "corpora/mine/train.csv", index=False)
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["grid"] = {"modes": ["full", "hard"], "seeds": [1]}
    content["assets"]["source"] = "embedded"
    content["corpus"]["name"] = "files"
    content["corpus"]["files"]["train"] = "corpora/mine/train.csv"
    content["tagger"] |= {"package": "corpora/mine/pos.pt", "workers": 1}
    content["encoder"] |= {"layers": 1, "hidden": 16, "feed_forward": 32, "vocabulary": 300}
    content["train"]["evaluate_every"] = 20
    content["train"]["recipes"]["from_scratch"] |= {"batch_size": 4, "epochs": 6}
    content["evaluate"]["bootstrap_samples"] = 100
    content["report"]["figure_dpi"] = 50
    write_yaml(folder / "params.yaml", content)
    (folder / "studies/small").mkdir()
    write_yaml(folder / "studies/small/params.yaml", STUDY)
    graph = folder / "studies/interpretability/dvc.yaml"
    text = graph.read_text(encoding="utf-8").replace("--corpus sst2", "--corpus files")
    graph.write_text(text.replace("/sst2/", "/files/"), encoding="utf-8")
    settings = yaml.safe_load((graph.parent / "settings.yaml").read_text(encoding="utf-8"))
    settings |= {"sentences": 12}
    settings["erasure"]["draws"] = 1
    write_yaml(graph.parent / "settings.yaml", settings)
    commit(folder)
    run(folder, "dvc", "repro")
    for name in STUDIES:
        run(folder, *study(name))
    keep(folder)


def write_yaml(path: Path, content: object) -> None:
    """Write a YAML file with its keys in the given order."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def stage(name: str) -> tuple[str, ...]:
    """Return the command that runs one stage again."""
    target = "train@hard-1" if name == "train" else name
    return ("dvc", "repro", "--force", "--single-item", target)


def study(name: str) -> tuple[str, ...]:
    """Return the command that runs a study."""
    return ("python3", "-m", "ggsa.training.runner", name, "--jobs", "1")


def surroundings() -> dict[str, str]:
    """Return the environment of a command in the workspace."""
    return environment() | {"PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}


def two_at_a_time(function: Callable[[str], None], names: Sequence[str]) -> None:
    """Call a function with every name; the commands that it runs are most of the work."""
    with ThreadPoolExecutor(2) as pool:
        for done in as_completed([pool.submit(function, name) for name in names]):
            done.result()


def forget(folder: Path, name: str) -> None:
    """Remove what a command wrote outside DVC's outputs, so that it works again from its start."""
    if name in STUDIES:
        shutil.rmtree(folder / "reports/published/studies" / name)
    if name == "tag":
        shutil.rmtree(folder / ".cache/tags", ignore_errors=True)


@contextmanager
def copy_of(finished: Path, target: Path) -> Iterator[Path]:
    """Yield a copy of the finished workspace."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(finished, target, symlinks=True)
    try:
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=True)


def contents(folder: Path) -> dict[str, str]:
    """Return the checksum of every file of a workspace that a command may change, by its path."""
    files = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            key = path.relative_to(folder).as_posix()
            times = key.startswith(NOT_COMPARED) or key.endswith("/seconds.csv")
            if not times and "__pycache__" not in key:
                files[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def differences(expected: dict[str, str], found: dict[str, str]) -> str:
    """Return the paths at which two workspaces differ; empty if they are equal."""
    keys = sorted({*expected, *found})
    return ", ".join(key for key in keys if expected.get(key) != found.get(key))
