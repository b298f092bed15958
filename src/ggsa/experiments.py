"""`make experiment`, `make ablate` and `make compare`: DVC experiments in copies of the repository.

Place in the data flow: outside it. `dvc exp run -S` in the workspace changes its params.yaml, and
the next experiment inherits the change; those started here run in copies and inherit nothing. A
name says what was changed. What is wrong with a change is said before anything runs, since DVC
itself takes a misspelt key.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import yaml

from ggsa import config
from ggsa.errors import UserError

LONGEST_NAME = 60
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

    JSON, because DVC's override grammar (Hydra's) does not take a bare arrow.
    """
    settings = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in changed.items()]
    return ["--force", "--name", name, *(f"--set-param={setting}" for setting in settings)]


def run(text: str, name: str = "") -> None:
    """Run one experiment in a copy.

    Args:
        text: What it changes; see `changes`.
        name: Of the experiment; by default what is changed.

    Raises:
        UserError: If params.yaml would be wrong with the changes.
    """
    changed = changes(text)
    config.load(overrides=changed)
    _dvc("exp", "run", "--temp", *arguments(changed, name or name_of(changed)))


def ablate(rules: list[str]) -> None:
    """Run one experiment per rule, each without it and in a copy, one after the other.

    Not through DVC's queue, whose worker goes on after Ctrl-C and fails without a word.

    Raises:
        UserError: See `ablations`.
    """
    wanted = ablations(config.load().rules, rules)
    for number, changed in enumerate(wanted, start=1):
        name = name_of(changed)
        print(f"\nExperiment {number} of {len(wanted)}: {name}", file=sys.stderr)
        _dvc("exp", "run", "--temp", *arguments(changed, name))


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
    subprocess.run(["dvc", *arguments], check=True)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ggsa.experiments", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("run", help="one experiment")
    one.add_argument("changes", help="key=value key=value ...")
    one.add_argument("--name", default="", help="by default what is changed")
    every = kinds.add_parser("ablate", help="one experiment per rule")
    every.add_argument("rules", help="rules, by spaces; all of them where empty")
    wanted = parser.parse_args()
    try:
        if wanted.kind == "run":
            run(wanted.changes, wanted.name)
        else:
            ablate(wanted.rules.split())
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except subprocess.CalledProcessError:
        sys.exit("\nThe experiment failed; what DVC and the stage say of it stands above.\n")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Finished experiments are kept: `make compare` shows them.\n")


if __name__ == "__main__":
    main()
