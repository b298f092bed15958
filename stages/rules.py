"""Turn the rules into one pattern per mode, and say what the corpus makes of them."""

import sys

from ggsa.patterns import rule_statistics, rules
from ggsa.patterns.pattern import write_pattern
from ggsa.tagging.counting import split_counts, word_tags
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.tables import write_table
from stages import run


def main() -> None:
    """Write data/rules/<mode>.json for every mode of the grid, and data/rules/statistics."""
    params = config.load()
    counts = split_counts(params.train.max_pieces)
    pairs = rule_statistics.tag_pairs(word_tags("train"), counts["train"])
    hard = rules.hard_table(params.rules, pairs, counts["train"])
    table = rule_statistics.rule_table(rules.listed(params.rules, hard), hard, counts["train"])
    chosen = [rules.pattern(mode, params.rules, hard) for mode in params.grid.modes]
    for pattern in chosen:
        write_pattern(paths.rule_table(pattern.mode), pattern)
    notices = rule_statistics.notices(table, hard)
    for name, found in {
        "tag_frequencies": rule_statistics.tag_frequencies(counts),
        "tag_pairs": pairs.assign(allowed_hard=rule_statistics.allowed_column(pairs, hard)),
        "rules": table,
        "density": rule_statistics.densities(chosen, counts),
        "density_by_length": rule_statistics.densities_by_length(chosen, counts),
    }.items():
        write_table(paths.RULES / "statistics" / f"{name}.csv", found)
    artifacts.write_json(paths.RULES / "statistics" / "notices.json", notices)
    if notices["never_fires"]:
        print(f"rules that never fire: {', '.join(notices['never_fires'])}", file=sys.stderr)
    print(f"tags that attend only their own: {', '.join(notices['only_self'])}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
