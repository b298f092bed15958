"""Turn the rules into one pattern per mode, and measure what each rule does on the corpus."""

import sys

from ggsa.patterns import rule_statistics
from ggsa.training.recipe import require_steps
from ggsa.workspace import config
from stages import run


def main() -> None:
    """Write data/rules, and print what is unusual about the rules."""
    params = config.load()
    require_steps(params)
    notices = rule_statistics.write_rules(params)
    if notices["never_fires"]:
        print(f"rules that never fire: {', '.join(notices['never_fires'])}", file=sys.stderr)
    print(
        f"tags that attend only to themselves: {', '.join(notices['only_self'])}", file=sys.stderr
    )


if __name__ == "__main__":
    run(main)
