"""`make experiment`, `make ablate` and `make compare`: DVC experiments in copies of the repository.

`dvc exp run -S` in the workspace edits params.yaml, and the next experiment inherits the edit. The
experiments started here run in copies (`--temp`) and inherit nothing. Changes are checked before
anything runs, because DVC accepts a misspelled key.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf.errors import OmegaConfBaseException

from ggsa.assets import corpora
from ggsa.patterns import modes
from ggsa.workspace import config, paths, terminal
from ggsa.workspace.errors import UserError

MAX_NAME_LENGTH = 48
TABLE_WIDTH = 100
MISSING = "–"
BASELINE = "workspace (baseline)"
"""Label of a row; no experiment can have it, because Git refuses the space."""
NAME_PREFIXES = {"rules.drop": "without", "rules.add": "with"}
TARGET = "evaluate"
"""The stage with which an experiment ends: it writes the metrics."""
TRAINING_DATA = (paths.CORPUS, paths.TAGS, paths.ENCODER)
"""What cells are trained on; accuracies are compared only where all three are equal, or where an
experiment changes them on purpose."""

DATA_BLOCKS = ("assets.", "corpus.", "encoder.", "tagger.")
"""Parameters on which `TRAINING_DATA` depend."""
MOST_LISTED = 3


def changes(text: str) -> dict[str, Any]:
    """Return values by dotted key, parsed from `key=value key=value`; each value is YAML.

    Raises:
        UserError: If the text is empty or not of this form.
    """
    values = {}
    for part in re.split(r"\s+(?=[\w.]+=)", text.strip()):
        key, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[\w.]+", key):
            raise UserError(
                f"Expected changes as key=value, got {part!r}. For example: "
                "make experiment SET='rules.drop=[\"ADJ->NOUN\"] train.threads=2'"
            )
        values[key] = config.parse_yaml(value, f"SET, value of {key}")
    return values


def name_of(changed: dict[str, Any]) -> str:
    """Return an experiment's name, made of letters, digits, dots, hyphens and underscores.

    Changing `rules.drop` gives `without-ADJ-NOUN`; any other key gives the key and its value. A name
    longer than `MAX_NAME_LENGTH` is cut and ends in a hash, so that names stay distinct.
    """
    name = "_".join(_words(key, value) for key, value in changed.items())
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: MAX_NAME_LENGTH - 7].rstrip('-._')}-{digest}"


def ablations(rules: config.Rules, only: list[str]) -> list[dict[str, Any]]:
    """Return one set of changes per rule of the hard table, each of which drops that rule.

    Args:
        rules: The current rules.
        only: The rules to drop in turn; if empty, all of them.

    Raises:
        UserError: If a rule is not in the table.
    """
    known = [f"{query}->{key}" for query, row in rules.hard.items() for key in row]
    known = [rule for rule in known if rule not in rules.drop]
    unknown = [rule for rule in only if rule not in known]
    if unknown:
        raise UserError(
            f"{', '.join(unknown)} is not a rule of rules.hard. Expected one of: "
            f"{', '.join(known)}."
        )
    return [{"rules.drop": [*rules.drop, rule]} for rule in only or known]


def arguments(changed: dict[str, Any], name: str) -> list[str]:
    """Return the arguments of `dvc exp run` for an experiment's name, parameters and own files.

    It ends with its metrics and tables; `make repro` renders a report. There is no `--force`, which
    would also retrain what the changes do not affect.
    """
    ignored_by_git = sorted(path for path in paths.CORPORA.glob("*") if path.name != "README.md")
    return [
        *(TARGET, "--temp", "--name", name),
        *(f"--set-param={override}" for override in overrides(changed)),
        *(option for path in ignored_by_git for option in ("--copy-paths", str(path))),
    ]


def overrides(changed: dict[str, Any]) -> list[str]:
    """Return changes in the grammar of `dvc exp run --set-param`, which is Hydra's.

    A mapping or list replaces the present value; Hydra alone would merge the two. `++` also sets a
    key that a mapping lacks.
    """
    lines = []
    for key, value in changed.items():
        if isinstance(value, dict | list):
            lines.append(f"++{key}=null")
        lines.append(f"++{key}={_in_hydra(value)}")
    return lines


def _in_hydra(value: Any) -> str:
    """Return a value in Hydra's override grammar."""
    match value:
        case str():
            # A backslash keeps OmegaConf from replacing ${name}.
            literal = re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", value)
            return QuotedString(literal, Quote.single).with_quotes()
        case list():
            return f"[{','.join(map(_in_hydra, value))}]"
        case dict():
            items = (f"{_escaped(key)}:{_in_hydra(item)}" for key, item in value.items())
            return f"{{{','.join(items)}}}"
        case None | bool():
            return json.dumps(value)
        case _:
            return str(value)


def _escaped(key: Any) -> str:
    """Return a key of a mapping in Hydra's override grammar, which has no quoted keys."""
    return re.sub(r"([\\()\[\]{}:=, \t])", r"\\\1", str(key))


def require_carried(changed: dict[str, Any], expected: config.Params) -> None:
    """Check that DVC would write the changed parameters into params.yaml as they were given.

    Args:
        changed: The changes.
        expected: The parameters with these changes.

    Raises:
        UserError: If it would write others, or nothing; names the keys.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(paths.PARAMS, folder))
        try:
            apply_overrides(copy, overrides(changed))
            carried = config.load(copy) == expected
        except (DvcException, OmegaConfBaseException, UserError):
            carried = False
    if not carried:
        listing = ", ".join(f"{key}={json.dumps(changed[key], default=str)}" for key in changed)
        raise UserError(
            f"SET: DVC cannot pass {listing} to an experiment unchanged. Expected keys of a mapping "
            f"that are words of ASCII characters without quotation marks, and no value ??? or with control characters. Write "
            f"the change into params.yaml instead and run `make repro`."
        )


def run(text: str, name: str = "") -> None:
    """Run one experiment in a copy of the repository and print its result.

    Args:
        text: The changes; see `changes`.
        name: The experiment's name; by default it describes the changes.

    Raises:
        UserError: If the changed parameters are invalid, the name is taken, the workspace's run is
            stale, or no experiment can run or be recorded here.
    """
    changed = changes(text)
    known = {"mode": modes.names(), "corpus": corpora.names()}
    require_carried(changed, config.load(overrides=changed, known=known))
    name = name or name_of(changed)
    commit = require_ready()
    if name in _existing(commit):
        raise UserError(
            f"The experiment {name} already exists, perhaps with other parameters than the current "
            f"ones: `make compare` shows it. Remove it with `dvc exp remove {name}`, or choose "
            f"another name with NAME=."
        )
    _record(changed, name, commit)
    compare(commit, [name])


def ablate(only: list[str]) -> None:
    """Run one experiment per rule, each without that rule; skip those that exist already.

    They run one after the other. DVC's queue would run several, but its worker keeps running after
    Ctrl-C and reports no failure; and two experiments that are started without it may take each
    other's changes, because DVC keeps those of one folder in one place.

    Raises:
        UserError: See `ablations` and `run`; also if one that exists cannot be compared with the
            workspace's run, because it differs from it in more than its rule.
    """
    params = config.load()
    planned = [(name_of(changed), changed) for changed in ablations(params.rules, only)]
    for _, changed in planned:
        require_carried(changed, config.load(overrides=changed))
    commit = require_ready()
    existing = _existing(commit)
    if not existing.isdisjoint(name for name, _ in planned):
        require_comparable({name: new for name, new in planned if name in existing}, _shown(commit))
    for number, (name, changed) in enumerate(planned, start=1):
        exists = name in existing
        note = " exists already" if exists else ""
        print(f"\nExperiment {number} of {len(planned)}: {name}{note}", file=sys.stderr)
        if not exists:
            _record(changed, name, commit)


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


def require_ready() -> str:
    """Return the commit from which an experiment starts, if one can run and be recorded there.

    A stale run is an error, because nothing could be compared with it, and every experiment would
    train the whole grid.

    Raises:
        UserError: If the clone is shallow, or this workspace lacks a finished, up-to-date run.
    """
    git = subprocess.run(
        ["git", "rev-parse", "--is-shallow-repository", "HEAD"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    if git.returncode:
        raise UserError(
            "DVC records an experiment beside the Git commit that it starts from, but this folder "
            "is not a Git repository with a commit. Clone the repository, or run `git init` and "
            "commit everything."
        )
    shallow, commit = git.stdout.split()
    if shallow == "true":
        raise UserError(
            "This is a shallow clone, in which DVC runs experiments but cannot record them. Run "
            "`git fetch --unshallow`, then the same command again."
        )
    # DVC fails in the middle of an experiment if it needs a folder that dvc.lock names and that
    # was never made here.
    status = _status()
    absent = sorted(
        path
        for changed in status.values()
        for change in changed
        if isinstance(change, dict)
        for path, state in change.get("changed outs", {}).items()
        if state == "not in cache"
    )
    if absent:
        more = f" and {len(absent) - 2} more" if len(absent) > 2 else ""
        raise UserError(
            f"An experiment starts from a finished run and is compared with it, but DVC's cache "
            f"here lacks outputs that dvc.lock names: {', '.join(absent[:2])}{more}. Run "
            f"`make repro` once, then the same command again."
        )
    if status:
        raise UserError(_stale(sorted(status)))
    return commit


def compare(commit: str = "HEAD", only: Collection[str] = ()) -> None:
    """Print the experiments of a commit and their differences from the workspace.

    Args:
        commit: From which they started.
        only: Names of experiments; if empty, all of them.

    Raises:
        UserError: If params.yaml is invalid.
    """
    config.load()
    print(table(_shown(commit), sorted(_status()), only))


def table(
    shown: Sequence[Mapping[str, Any]], stale: Sequence[str] = (), only: Collection[str] = ()
) -> str:
    """Return experiments beside their baseline, the run in the workspace, as text.

    Modes for which nothing differs take one line. The layout is ours, because within 100 columns
    DVC's own table replaces most columns with an ellipsis.

    Args:
        shown: What `dvc exp show --json` prints.
        stale: Stages of the workspace that are not up to date; with any, its metrics belong to
            other parameters, and there is no baseline.
        only: Names of experiments; if empty, all of them.
    """
    workspace = shown[0]["data"]
    experiments = {
        name: data for name, data in _experiments(shown).items() if not only or name in only
    }
    if not experiments:
        return "This commit has no experiments yet; run one with `make experiment`."
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
        parts += _without_difference(results)
    return "\n\n".join(parts)


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
        seeds: Their number.
        modes: The metrics of each mode.
    """

    other_data: Sequence[str]
    seeds: int
    modes: Mapping[str, Mapping[str, Any]]


def _results(data: Mapping[str, Any], workspace: Mapping[str, Any]) -> _Results:
    """Return what `dvc exp show` has of one run's metrics."""
    metrics = data["metrics"].get(str(paths.METRICS), {}).get("data") or {}
    own = _parameters(data)
    meant = any(key.startswith(DATA_BLOCKS) for key in _differing_keys(own, _parameters(workspace)))
    return _Results(
        other_data=[] if meant else _differing_data(data, workspace),
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


def _stale(stages: Sequence[str]) -> str:
    """Return which stages of the workspace are stale, and what to do before an experiment."""
    cells = [name for name in stages if name.startswith("train@")]
    others = [name for name in stages if name not in cells]
    listed = [*others, *([f"{len(cells)} cells of train"] if cells else [])]
    return (
        f"An experiment is compared with the run in this workspace, which is stale: "
        f"{', '.join(listed)}. Nothing was trained. Expected an up-to-date run, from which an "
        f"experiment retrains only what its changes affect. Run `make repro`, which trains only "
        f"what changed, as many cells at a time as there are cores; then the same command again."
    )


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
    baseline = results.get(BASELINE)
    lines = {}
    for name, row in rows.items():
        comparable = baseline and name != BASELINE and not results[name].other_data
        reference = rows[BASELINE].get("accuracy") if comparable else None
        accuracy, density = row.get("accuracy"), row.get("density")
        lines[name] = {
            "accuracy": _accuracy(row),
            "difference": MISSING
            if accuracy is None or reference is None
            else f"{100 * (accuracy - reference):+.2f}",
            "seeds": str(results[name].seeds),
            "density": MISSING if density is None else f"{density:.4f}",
        }
    frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis(mode, axis="columns")
    return frame.to_string(line_width=TABLE_WIDTH)


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


def _without_difference(results: Mapping[str, _Results]) -> list[str]:
    """Return a sentence on each experiment that was trained on other data, as one text."""
    sentences = [
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


def _record(changed: dict[str, Any], name: str, commit: str) -> None:
    """Run an experiment and check that DVC recorded it.

    Its stages keep checkpoints in this workspace, where a killed experiment resumes.

    Raises:
        UserError: If it ran and was not recorded.
    """
    environment = os.environ | {"GGSA_CACHE": str(paths.CACHE.resolve())}
    command = [sys.executable, "-m", "ggsa.training.quiet_dvc", "exp", "run"]
    subprocess.run([*command, *arguments(changed, name)], check=True, env=environment)
    if name not in _existing(commit):
        raise UserError(
            f"The experiment {name} ran, but DVC did not record it; see its messages above. Its "
            f"cells are in DVC's cache: when the cause is fixed, the same command records it "
            f"without training."
        )


def _existing(commit: str) -> set[str]:
    """Return the names of the experiments on a commit."""
    return {*_output("exp", "list", "--name-only", "--rev", commit).split()}


def _shown(commit: str) -> list[dict[str, Any]]:
    """Return the workspace's run and the recorded experiments of a commit, as DVC shows them."""
    options = ("--json", "--hide-queued", "--hide-failed", "--rev", commit)
    return json.loads(_output("exp", "show", *options))


def _status() -> dict[str, list[Any]]:
    """Return what of the workspace is not up to date, by stage."""
    return json.loads(_output("status", "--json", "--with-deps", TARGET))


def _output(*arguments: str) -> str:
    """Return what a command of DVC prints."""
    command = ["dvc", "--wait-for-lock", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _words(key: str, value: Any) -> str:
    """Return the part of a name that describes one change."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"(?<!\w)-(?=\d)", "minus ", text)
    words = re.findall(r"[A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*", text) or ["nothing"]
    return "-".join([NAME_PREFIXES.get(key, key), *words])


def main() -> None:
    """Run the command that the arguments name."""
    terminal.accept_any_character()
    parser = argparse.ArgumentParser(
        prog="python -m ggsa.training.experiments", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="run one experiment")
    one.add_argument("changes", help="key=value key=value ...")
    one.add_argument("--name", default="", help="default: a description of the changes")
    each = commands.add_parser("ablate", help="run one experiment per rule")
    each.add_argument("rules", help="rules, separated by spaces; if empty, all of them")
    commands.add_parser("compare", help="compare the experiments on this commit")
    given = parser.parse_args()
    try:
        if given.command == "run":
            run(given.changes, given.name)
        elif given.command == "ablate":
            ablate(given.rules.split())
        if given.command != "run":
            compare()
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except subprocess.CalledProcessError:
        sys.exit("\nThe command failed; see the messages of DVC and the stage above.\n")
    except KeyboardInterrupt:
        sys.exit(
            "\nInterrupted. Finished experiments are kept (`make compare`). To continue, run the "
            "same command again.\n"
        )


if __name__ == "__main__":
    main()
