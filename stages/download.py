"""Obtain corpus, tagger and encoder, and record the source of each."""

from ggsa import assets
from stages import base_params, run


def main() -> None:
    """Obtain the three assets that params.yaml names, or those that a study's base names."""
    assets.download(base_params(__doc__))


if __name__ == "__main__":
    run(main)
