"""Tag every word of the corpus with Stanza; sentences that were tagged before are not tagged again."""

from ggsa.tagging import tagger
from stages import base_params, run


def main() -> None:
    """Tag every split of the corpus."""
    tagger.tag_corpus(base_params(__doc__))


if __name__ == "__main__":
    run(main)
