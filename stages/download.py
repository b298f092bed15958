"""Obtain corpus, tagger and encoder, and write down where each came from."""

from ggsa import assets
from stages import base_params, run


def main() -> None:
    """Obtain the three assets that params.yaml names, or those of a study's base."""
    assets.download(base_params(__doc__))


if __name__ == "__main__":
    run(main)
