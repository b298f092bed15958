"""`make ablate`: one DVC experiment per rule, each without that rule.

Experiments are queued and run in copies of the repository, so that overrides do not pile up in the
workspace as they do with repeated `dvc exp run -S`.
"""

import subprocess
import sys

from ggsa import config, paths
from ggsa.errors import UserError


def experiments(rules: config.Rules, only: list[str]) -> dict[str, str]:
    """Return experiment names and the rule that each drops.

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
    return {f"drop-{rule.replace('->', '-').lower()}": rule for rule in only or known}


def own_files() -> list[str]:
    """Return the options that bring the user's own files, which Git ignores, into the copies."""
    there = sorted(path for path in paths.CORPORA.glob("*") if path.name != "README.md")
    return [option for path in there for option in ("--copy-paths", str(path))]


def main(arguments: list[str]) -> None:
    """Queue one experiment per rule and run them; rules may be named on the command line."""
    rules = config.load().rules
    for name, rule in experiments(rules, arguments).items():
        # Quoted, because DVC's override grammar (Hydra's) does not take a bare arrow.
        dropped = "rules.drop=[" + ",".join(f'"{r}"' for r in [*rules.drop, rule]) + "]"
        named = ("--force", "--name", name, "--set-param", dropped)
        _dvc("exp", "run", "--queue", *own_files(), *named)
    _dvc("exp", "run", "--run-all")


def _dvc(*arguments: str) -> None:
    subprocess.run(["dvc", *arguments], check=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except subprocess.CalledProcessError as error:
        sys.exit(f"\n`{' '.join(error.cmd)}` failed; its message stands above.\n")
