"""`make compare`: experiments beside the run in the workspace, from which they differ."""

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ggsa.training import dvc_commands
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import DID_NOT_LEARN

TABLE_WIDTH = 100
MISSING = "–"
BASELINE = "workspace (baseline)"
"""Label of a row; no experiment can have it, because Git refuses the space."""
TARGET = "evaluate"
"""The stage with which an experiment ends: it writes the metrics."""
TRAINING_DATA = (paths.CORPUS, paths.TAGS, paths.ENCODER)
"""What cells are trained on; accuracies are compared only where all three are equal, or where an
experiment changes them on purpose."""
DATA_BLOCKS = ("assets.", "corpus.", "encoder.", "tagger.")
"""Parameters on which `TRAINING_DATA` depend."""
MOST_LISTED = 3
SEVERAL = "*"
"""Follows the difference of an experiment in which more than one parameter differs."""


def require_comparable(
    planned: Mapping[str, Mapping[str, Any]], shown: Sequence[Mapping[str, Any]]
) -> None:
    """Check that experiments differ from the run in the workspace only in their own changes.

    Args:
        planned: The changes of each experiment, by its name.
        shown: What `dvc exp show --json` prints.

    Raises:
        UserError: If one has other parameters or was trained on other data; names each of them.
    """
    workspace, recorded = shown[0]["data"], _experiments(shown)
    outdated = {}
    for name, changed in planned.items():
        if name not in recorded:
            outdated[name] = ["its parameters, which DVC cannot read"]
            continue
        expected = _parameters(workspace) | changed
        differing = _differing_keys(_parameters(recorded[name]), expected)
        differing += _differing_data(recorded[name], workspace)
        if differing:
            outdated[name] = differing
    if outdated:
        listing = "; ".join(f"{name} in {_listed(keys)}" for name, keys in outdated.items())
        raise UserError(
            f"Experiments that exist already differ from the run in this workspace in more than the "
            f"rule that each drops: {listing}. Nothing was trained. Expected the parameters and data "
            f"of the workspace's run, so that a difference is the effect of the rule. Remove them "
            f"with `dvc exp remove {' '.join(outdated)}`, then run the same command again."
        )


def compare(commit: str = "HEAD", only: Collection[str] = ()) -> None:
    """Print the experiments of a commit and their differences from the workspace.

    Args:
        commit: From which they started.
        only: Names of experiments; if empty, all of them.

    Raises:
        UserError: If params.yaml is invalid.
    """
    config.load()
    print(table(runs(commit), sorted(status()), only, _elsewhere()))


def table(
    shown: Sequence[Mapping[str, Any]],
    stale: Sequence[str] = (),
    only: Collection[str] = (),
    recorded: int = 0,
) -> str:
    """Return experiments beside their baseline, the run in the workspace, as text.

    Modes for which nothing differs take one line. The layout is ours, because within 100 columns
    DVC's own table replaces most columns with an ellipsis.

    Args:
        shown: What `dvc exp show --json` prints.
        stale: Stages of the workspace that are not up to date; with any, its metrics belong to
            other parameters, and there is no baseline.
        only: Names of experiments; if empty, all of them.
        recorded: How many experiments there are on any commit.
    """
    workspace, present = shown[0]["data"], _experiments(shown)
    experiments = {name: data for name, data in present.items() if not only or name in only}
    earlier = _on_other_commits(recorded - len(present))
    if not experiments:
        return f"This commit has no experiments yet; run one with `make experiment`.{earlier}"
    results = {} if stale else {BASELINE: _results(workspace, workspace)}
    results |= {name: _results(data, workspace) for name, data in experiments.items()}
    parts = [_legend(stale)]
    for mode in dict.fromkeys(mode for result in results.values() for mode in result.modes):
        rows = {name: result.modes.get(mode, {}) for name, result in results.items()}
        if len(rows) > 1 and len({json.dumps(row) for row in rows.values()}) == 1:
            parts.append(f"{mode}: {_accuracy(next(iter(rows.values())))} in each of these")
        else:
            parts.append(_block(mode, rows, results))
    parts.append(_differing(experiments, workspace))
    if not stale:
        parts += _reservations(results)
    if earlier and not only:
        parts.append(earlier.strip())
    return "\n\n".join(parts)


def _on_other_commits(count: int) -> str:
    """Return how many experiments started from other commits, and what shows them."""
    if count <= 0:
        return ""
    are = "1 experiment is" if count == 1 else f"{count} experiments are"
    return f" {are} of other commits: `dvc exp show --all-commits`."


def _experiments(shown: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what `dvc exp show` has of each finished experiment, by its name."""
    return {
        revision["name"]: revision["data"]
        for commit in shown[1:]
        for experiment in commit["experiments"] or ()
        if (experiment["executor"] or {}).get("state") != "running"
        for revision in experiment["revs"][:1]
        if revision["data"]
    }


@dataclass(frozen=True)
class _Results:
    """The metrics of one run.

    Attributes:
        other_data: Folders of `TRAINING_DATA` in which it differs from the workspace's run although
            no parameter that changes them does.
        changed: Number of parameters in which it differs from the workspace's run.
        seeds: Their number.
        modes: The metrics of each mode.
    """

    other_data: Sequence[str]
    changed: int
    seeds: int
    modes: Mapping[str, Mapping[str, Any]]


def _results(data: Mapping[str, Any], workspace: Mapping[str, Any]) -> _Results:
    """Return what `dvc exp show` has of one run's metrics."""
    metrics = data["metrics"].get(str(paths.METRICS), {}).get("data") or {}
    own = _parameters(data)
    differing = _differing_keys(own, _parameters(workspace))
    meant = any(key.startswith(DATA_BLOCKS) for key in differing)
    return _Results(
        other_data=[] if meant else _differing_data(data, workspace),
        changed=len(differing),
        seeds=len(own["grid.seeds"]),
        modes={name: row for name, row in metrics.items() if isinstance(row, Mapping)},
    )


def _legend(stale: Sequence[str]) -> str:
    """Return what the numbers are, and why there is no baseline where stages are stale."""
    text = "Accuracy on validation: mean ± standard deviation over seeds."
    if not stale:
        text += " Difference: from the workspace, in percentage points."
    else:
        text += f" {_without_baseline(stale)}"
    return textwrap.fill(text, TABLE_WIDTH)


def _without_baseline(stale: Sequence[str]) -> str:
    """Return why the workspace is no baseline, and how it becomes one."""
    more = ", ..." if len(stale) > 2 else ""
    return (
        f"No baseline: the workspace's last run is stale ({', '.join(stale[:2])}{more}). `make "
        f"repro` trains only what changed; `make compare` then shows differences."
    )


def _block(
    mode: str, rows: Mapping[str, Mapping[str, Any]], results: Mapping[str, _Results]
) -> str:
    """Return the rows of one mode, one per run."""
    reference = rows.get(BASELINE, {})
    lines = {}
    for name, row in rows.items():
        comparable = name != BASELINE and not results[name].other_data
        density = row.get("density")
        lines[name] = {
            "accuracy": _accuracy(row),
            "difference": _difference(row, reference if comparable else {}, results[name].changed),
            "seeds": str(results[name].seeds),
            "density": MISSING if density is None else f"{density:.4f}",
        }
    frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis(mode, axis="columns")
    return frame.to_string(line_width=TABLE_WIDTH)


def _difference(row: Mapping[str, Any], reference: Mapping[str, Any], changed: int) -> str:
    """Return the difference of two runs of one mode, or why there is none."""
    if row.get("verdict") == DID_NOT_LEARN:
        return DID_NOT_LEARN
    ours, theirs = row.get("accuracy"), reference.get("accuracy")
    if ours is None or theirs is None or reference.get("verdict") == DID_NOT_LEARN:
        return MISSING
    return f"{100 * (ours - theirs):+.2f}{SEVERAL if changed > 1 else ''}"


def _accuracy(row: Mapping[str, Any]) -> str:
    """Return an accuracy with its standard deviation; DVC leaves out what is null."""
    accuracy, deviation = row.get("accuracy"), row.get("sd")
    if accuracy is None:
        return MISSING
    return f"{accuracy:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _differing(experiments: Mapping[str, Mapping[str, Any]], workspace: Mapping[str, Any]) -> str:
    """Return the parameters of each experiment that differ from those of the workspace."""
    present = _parameters(workspace)
    lines = ["Parameters that differ from params.yaml:"]
    for name, data in experiments.items():
        own = _parameters(data)
        keys = _differing_keys(own, present)
        values = [f"{key}={json.dumps(own.get(key), ensure_ascii=False)}" for key in keys]
        text = f"{name}: {', '.join(values) or 'nothing'}"
        lines.append(textwrap.fill(text, TABLE_WIDTH, subsequent_indent="  "))
    return "\n".join(lines)


def _reservations(results: Mapping[str, _Results]) -> list[str]:
    """Return why a difference is missing or is no effect of one parameter, as one text."""
    sentences = []
    if any(result.changed > 1 and not result.other_data for result in results.values()):
        sentences = [f"{SEVERAL} More than one parameter differs: no effect of one alone."]
    sentences += [
        f"{name} was trained on other data than the workspace's run ({_listed(result.other_data)}), "
        f"so it has no difference. `dvc exp remove {name}` removes it."
        for name, result in results.items()
        if result.other_data
    ]
    lines = [textwrap.fill(text, TABLE_WIDTH, subsequent_indent="  ") for text in sentences]
    return ["\n".join(lines)] if lines else []


def _differing_data(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the folders of `TRAINING_DATA` in which two runs differ."""
    pairs = zip(TRAINING_DATA, _hashes(own), _hashes(other), strict=True)
    return [str(path) for path, first, second in pairs if first != second]


def _hashes(data: Mapping[str, Any]) -> list[str | None]:
    """Return the hashes in a run's dvc.lock of `TRAINING_DATA`."""
    return [data["outs"].get(str(path), {}).get("hash") for path in TRAINING_DATA]


def _differing_keys(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys in which the parameters of two runs differ."""
    return [key for key in {**other, **own} if other.get(key) != own.get(key)]


def _listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run by dotted key."""
    values = {}
    waiting = [("", data["params"][str(paths.PARAMS)]["data"])]
    while waiting:
        prefix, block = waiting.pop(0)
        for key, value in block.items():
            if isinstance(value, Mapping) and value:
                waiting.append((f"{prefix}{key}.", value))
            else:
                values[f"{prefix}{key}"] = value
    return values


def runs(commit: str) -> list[dict[str, Any]]:
    """Return the workspace's run and the recorded experiments of a commit, as DVC shows them."""
    options = ("--json", "--hide-queued", "--hide-failed", "--rev", commit)
    return json.loads(dvc_commands.output("exp", "show", *options))


def status() -> dict[str, list[Any]]:
    """Return what of the workspace is not up to date, by stage."""
    return dvc_commands.status("--with-deps", TARGET)


def _elsewhere() -> int:
    """Return how many experiments are recorded, on any commit."""
    return len(dvc_commands.output("exp", "list", "--all-commits", "--name-only").split())
