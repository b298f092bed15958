"""`make experiment`, `make ablate` and `make compare`: DVC experiments in copies of the repository.

Place in the data flow: outside it. `dvc exp run -S` in the workspace changes its params.yaml, and
the next experiment inherits the change; those started here run in copies and inherit nothing. A
name says what was changed. What is wrong with a change is said before anything runs, since DVC
itself takes a misspelled key.
"""

import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import textwrap
from typing import Any

import pandas as pd
import yaml

from ggsa.assets import corpora
from ggsa.patterns import modes
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError

LONGEST_NAME = 48
WIDTH = 100
UNFINISHED = ("Queued", "Running", "Failed")
WIDEST_VALUE = 36
HIDDEN = re.compile(
    r"^(Experiment|rev|typ|Created|parent|State|Executor)$"
    r"|/|\.(py|json|md|yaml)$|^(data|notebooks|runs|src|studies)$"
    r"|\.(cost|f1|sd|test_accuracy|verdict)$"
)
"""Columns of `dvc exp show` that are no parameter, and results that say little beside the others."""
SPOKEN = {"rules.drop": "without", "rules.add": "with"}


def changes(text: str) -> dict[str, Any]:
    """Return values by dotted key, from `key=value key=value`; the values are YAML.

    Raises:
        UserError: If there is none, or something is not of this form.
    """
    parts = re.split(r"\s+(?=[\w.]+=)", text.strip())
    found = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[\w.]+", key):
            raise UserError(
                f"What is to be changed? {part!r} is not of the form key=value. For example: "
                "make experiment SET='rules.drop=[\"ADJ->NOUN\"] train.threads=2'"
            )
        try:
            found[key] = _number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise UserError(f"{key}: {value!r} is no value in YAML ({error}).") from error
    return found


def name_of(changed: dict[str, Any]) -> str:
    """Return a name that says what is changed, of letters, digits, dots, hyphens, underscores.

    `rules.drop` gives `without-ADJ-NOUN`, any other key the key and the value. What is longer than
    `LONGEST_NAME` is cut and ends in a hash, so that two experiments never share a name.
    """
    name = "_".join(_words(key, value) for key, value in changed.items())
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: LONGEST_NAME - 7].rstrip('-._')}-{digest}"


def ablations(rules: config.Rules, only: list[str]) -> list[dict[str, Any]]:
    """Return the changes of one experiment per rule, each without that rule.

    Args:
        rules: The rules block of params.yaml.
        only: Rules to restrict the ablation to; empty for every rule of the hard table.

    Raises:
        UserError: If a rule asked for is not in the table.
    """
    known = [f"{query}->{key}" for query, row in rules.hard.items() for key in row]
    known = [rule for rule in known if rule not in rules.drop]
    absent = [rule for rule in only if rule not in known]
    if absent:
        raise UserError(
            f"{', '.join(absent)} is no rule of rules.hard in params.yaml. "
            f"There are: {', '.join(known)}."
        )
    return [{"rules.drop": [*rules.drop, rule]} for rule in only or known]


def arguments(changed: dict[str, Any], name: str) -> list[str]:
    """Return the arguments of `dvc exp run` that name an experiment and set its parameters.

    JSON, because DVC's override grammar (Hydra's) does not take a bare arrow. Without `--force`,
    which would also train again what the change does not touch.
    """
    settings = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changed.items()]
    return ["--name", name, *(f"--set-param={setting}" for setting in settings), *own_files()]


def own_files() -> list[str]:
    """Return the options that bring the user's own files, which Git ignores, into the copy."""
    there = sorted(path for path in paths.CORPORA.glob("*") if path.name != "README.md")
    return [option for path in there for option in ("--copy-paths", str(path))]


def run(text: str, name: str = "") -> None:
    """Run one experiment in a copy.

    Args:
        text: What it changes; see `changes`.
        name: Of the experiment; by default what is changed.

    Raises:
        UserError: If params.yaml would be wrong with the changes, or the name is taken.
    """
    changed = changes(text)
    known = {"mode": modes.names(), "corpus": corpora.names()}
    config.load(overrides=changed, known=known)
    name = name or name_of(changed)
    if name in _existing():
        raise UserError(
            f"There is an experiment {name} already, perhaps on other parameters than params.yaml "
            f"holds now: `make compare` shows it. To run it again, `dvc exp remove {name}` first, or "
            f"give it another name with NAME=."
        )
    _dvc("exp", "run", "--temp", *arguments(changed, name))
    print(f"`make compare` shows {name} beside what it started from.", file=sys.stderr)


def ablate(rules: list[str]) -> None:
    """Run one experiment per rule, each without it and in a copy, one after the other.

    Those that are there already are passed over. Not through DVC's queue, whose worker goes on
    after Ctrl-C and fails without a word.

    Raises:
        UserError: See `ablations`.
    """
    wanted, existing = ablations(config.load().rules, rules), _existing()
    for number, changed in enumerate(wanted, start=1):
        name = name_of(changed)
        there = " is there already" if name in existing else ""
        print(f"\nExperiment {number} of {len(wanted)}: {name}{there}", file=sys.stderr)
        if not there:
            _dvc("exp", "run", "--temp", *arguments(changed, name))


def compare() -> None:
    """Print the experiments of this commit below the commit itself.

    Where params.yaml was changed since, experiments started from the workspace, which is shown too.
    """
    command = ["dvc", "exp", "show", "--csv"]
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", str(paths.PARAMS)]).returncode == 0:
        command.append("--hide-workspace")
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    print(table(pd.read_csv(io.StringIO(shown.stdout), dtype=str, keep_default_na=False)))


def table(shown: pd.DataFrame, width: int = WIDTH) -> str:
    """Return `dvc exp show --csv` as text: every accuracy, other results and parameters that differ.

    Only what is finished. What does not fit beside the names stands in further blocks below.
    """
    left_out = {name: "" for name in ("Experiment", "State") if name not in shown}  # where empty
    shown = shown.assign(**left_out).query("State not in @UNFINISHED")
    kept = [
        name
        for name in shown
        if name.endswith(".accuracy") or (not HIDDEN.search(name) and shown[name].nunique() > 1)
    ]
    names = shown["Experiment"].where(shown["Experiment"] != "", shown["rev"])
    body = shown[kept].map(_shown).set_axis(names.rename(None), axis="index")
    if len(body) < 2:
        return "There is no experiment on this commit yet; `make experiment` makes one."
    return body.to_string(line_width=width)


def _shown(value: str) -> str:
    """Return a value of the table, numbers to four digits, in a column that stays narrow."""
    if re.fullmatch(r"-?\d+\.\d{5,}", value):
        return f"{float(value):.4f}"
    return textwrap.shorten(value, WIDEST_VALUE, placeholder=" ...")


def _existing() -> set[str]:
    """Return the names of the experiments on this commit."""
    listed = subprocess.run(
        ["dvc", "exp", "list", "--name-only"], check=True, stdout=subprocess.PIPE, text=True
    )
    return set(listed.stdout.split())


def _words(key: str, value: Any) -> str:
    """Return one change as a part of a name."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"(?<!\w)-(?=\d)", "minus ", text)
    words = re.findall(r"[A-Za-z0-9]+(?:[._][A-Za-z0-9]+)*", text) or ["nothing"]
    return "-".join([SPOKEN.get(key, key), *words])


def _number(value: Any) -> Any:
    """Return what YAML takes for text but DVC for a number (`5e-4`) as the number it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _dvc(*arguments: str) -> None:
    """Run DVC; checkpoints go to this workspace, where an experiment that was killed finds them."""
    kept = os.environ | {"GGSA_CACHE": str(paths.CACHE.resolve())}
    subprocess.run(["dvc", *arguments], check=True, env=kept)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m ggsa.training.experiments", description=__doc__
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("run", help="one experiment")
    one.add_argument("changes", help="key=value key=value ...")
    one.add_argument("--name", default="", help="by default what is changed")
    every = kinds.add_parser("ablate", help="one experiment per rule")
    every.add_argument("rules", help="rules, by spaces; all of them where empty")
    kinds.add_parser("compare", help="all of this commit side by side")
    wanted = parser.parse_args()
    try:
        if wanted.kind == "run":
            run(wanted.changes, wanted.name)
        elif wanted.kind == "ablate":
            ablate(wanted.rules.split())
        if wanted.kind != "run":
            compare()
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except subprocess.CalledProcessError:
        sys.exit("\nThat failed; what DVC and the stage say of it stands above.\n")
    except KeyboardInterrupt:
        sys.exit("\nFinished experiments are kept (`make compare`); the same command goes on.\n")


if __name__ == "__main__":
    main()
