"""`make experiment`, `make ablate` and `make compare`: DVC experiments in copies of the repository.

`dvc exp run -S` in the workspace edits params.yaml, and the next experiment inherits the edit. The
experiments started here run in copies (`--temp`) and inherit nothing. Changes are checked before
anything runs, because DVC accepts a misspelled key.
"""

import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from typing import Any

import pandas as pd
import yaml

from ggsa.assets import corpora
from ggsa.patterns import modes
from ggsa.workspace import config, paths, terminal
from ggsa.workspace.errors import UserError

MAX_NAME_LENGTH = 48
TABLE_WIDTH = 100
MAX_VALUE_WIDTH = 36
NAME_PREFIXES = {"rules.drop": "without", "rules.add": "with"}
KEPT_COLUMNS = r"(Experiment|rev)$|.*\.accuracy$"
"""Columns that `make compare` shows even if every experiment has the same value there."""
DROPPED_COLUMNS = (
    r"(typ|parent|Created|Executor)$"
    r"|.*/|.*\.(py|json|md|yaml)$|(corpora|data|notebooks|runs|src|studies)$"  # dependencies
    r"|.*\.(cost|f1|sd|test_accuracy|verdict)$"
)
"""Columns that `make compare` never shows."""


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
        try:
            values[key] = _number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise UserError(f"{key}: {value!r} is not valid YAML ({error}).") from error
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

    It ends with its metrics and tables; the report of an experiment is rendered by who wants it.
    Values are JSON, because DVC's override grammar (Hydra's) rejects an unquoted arrow. There is no
    `--force`, which would also retrain what the changes do not affect.
    """
    settings = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changed.items()]
    ignored_by_git = sorted(path for path in paths.CORPORA.glob("*") if path.name != "README.md")
    return [
        *("evaluate", "--temp", "--name", name),
        *(f"--set-param={setting}" for setting in settings),
        *(option for path in ignored_by_git for option in ("--copy-paths", str(path))),
    ]


def run(text: str, name: str = "") -> None:
    """Run one experiment in a copy of the repository.

    Args:
        text: The changes; see `changes`.
        name: The experiment's name; by default it describes the changes.

    Raises:
        UserError: If the changed parameters are invalid or the name is taken.
    """
    changed = changes(text)
    config.load(overrides=changed, known={"mode": modes.names(), "corpus": corpora.names()})
    name = name or name_of(changed)
    if name in _existing():
        raise UserError(
            f"The experiment {name} already exists, perhaps with other parameters than the current "
            f"ones: `make compare` shows it. Remove it with `dvc exp remove {name}`, or choose "
            f"another name with NAME=."
        )
    _dvc("exp", "run", *arguments(changed, name))
    print(f"`make compare` compares {name} with the commit it started from.", file=sys.stderr)


def ablate(only: list[str]) -> None:
    """Run one experiment per rule, each without that rule; skip those that exist already.

    They run one after the other, not through DVC's queue: its worker keeps running after Ctrl-C and
    reports no failure.

    Raises:
        UserError: See `ablations`.
    """
    planned, existing = ablations(config.load().rules, only), _existing()
    for number, changed in enumerate(planned, start=1):
        name = name_of(changed)
        exists = name in existing
        note = " exists already" if exists else ""
        print(f"\nExperiment {number} of {len(planned)}: {name}{note}", file=sys.stderr)
        if not exists:
            _dvc("exp", "run", *arguments(changed, name))


def compare() -> None:
    """Print the experiments of this commit below the commit itself.

    DVC chooses the columns. The layout is ours, because within 100 columns DVC's own table replaces
    all but the first few columns with an ellipsis.
    """
    command = [
        *("dvc", "exp", "show", "--csv", "--only-changed", "--hide-queued", "--hide-failed"),
        *("--precision", "4", "--keep", KEPT_COLUMNS, "--drop", DROPPED_COLUMNS),
    ]
    # After an edit of params.yaml, experiments start from the workspace, so show it too.
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", str(paths.PARAMS)]).returncode == 0:
        command.append("--hide-workspace")
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    print(table(printed.stdout))


def table(csv: str) -> str:
    """Return the CSV of `dvc exp show` as text that continues below where it is too wide."""
    rows = pd.read_csv(io.StringIO(csv), dtype=str, keep_default_na=False)
    if "State" in rows:
        rows = rows[rows["State"] != "Running"].drop(columns="State")
    if len(rows) < 2:
        return "This commit has no experiments yet; run one with `make experiment`."
    names = rows["Experiment"].where(rows["Experiment"] != "", rows["rev"]).rename(None)
    values = rows.drop(columns=["Experiment", "rev"]).set_axis(names, axis="index")
    return values.to_string(line_width=TABLE_WIDTH, max_colwidth=MAX_VALUE_WIDTH)


def _existing() -> Collection[str]:
    """Return the names of the experiments on this commit."""
    command = ["dvc", "exp", "list", "--name-only"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def _words(key: str, value: Any) -> str:
    """Return the part of a name that describes one change."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"(?<!\w)-(?=\d)", "minus ", text)
    words = re.findall(r"[A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*", text) or ["nothing"]
    return "-".join([NAME_PREFIXES.get(key, key), *words])


def _number(value: Any) -> Any:
    """Return a number that YAML reads as text but DVC as a number (`5e-4`) as a float."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _dvc(*arguments: str) -> None:
    """Run DVC; its stages keep checkpoints in this workspace, where a killed experiment resumes."""
    environment = os.environ | {"GGSA_CACHE": str(paths.CACHE.resolve())}
    subprocess.run(["dvc", *arguments], check=True, env=environment)


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
