"""Tag every word of the corpus with Stanza, once: what was tagged before is not tagged again."""

from ggsa import config, tagging
from stages import run


def main() -> None:
    """Tag every split of the corpus."""
    tagging.tag_corpus(config.load())


if __name__ == "__main__":
    run(main)
