"""Tag every word of the corpus with Stanza, once: what was tagged before is not tagged again."""

from ggsa import tagging
from stages import base_params, run


def main() -> None:
    """Tag every split of the corpus."""
    tagging.tag_corpus(base_params(__doc__))


if __name__ == "__main__":
    run(main)
