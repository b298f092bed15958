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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf.errors import OmegaConfBaseException

from ggsa.assets import corpora
from ggsa.patterns import modes
from ggsa.training import comparing, dvc_commands
from ggsa.workspace import config, paths, terminal
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import counted

MAX_NAME_LENGTH = 48
NAME_PREFIXES = {"rules.drop": "without", "rules.add": "with"}


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
        *(comparing.TARGET, "--temp", "--name", name),
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
    comparing.compare(commit, [name])


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
        comparing.require_comparable(
            {name: new for name, new in planned if name in existing}, comparing.runs(commit)
        )
    for number, (name, changed) in enumerate(planned, start=1):
        exists = name in existing
        note = " exists already" if exists else ""
        print(f"\nExperiment {number} of {len(planned)}: {name}{note}", file=sys.stderr)
        if not exists:
            _record(changed, name, commit)


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
    status = comparing.status()
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


def _stale(stages: Sequence[str]) -> str:
    """Return which stages of the workspace are stale, and what to do before an experiment."""
    cells = [name for name in stages if name.startswith("train@")]
    others = [name for name in stages if name not in cells]
    listed = [*others, *([f"{counted(len(cells), 'cell')} of train"] if cells else [])]
    return (
        f"An experiment is compared with the run in this workspace, which is stale: "
        f"{', '.join(listed)}. Nothing was trained. Expected an up-to-date run, from which an "
        f"experiment retrains only what its changes affect. Run `make repro`, which trains only "
        f"what changed, as many cells at a time as there are cores; then the same command again."
    )


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
    return {*dvc_commands.output("exp", "list", "--name-only", "--rev", commit).split()}


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
            comparing.compare()
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
