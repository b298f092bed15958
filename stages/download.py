"""Obtain corpus, tagger and encoder, and write down where each came from."""

from ggsa import assets, config
from stages import run


def main() -> None:
    """Obtain the three assets that params.yaml names."""
    assets.download(config.load())


if __name__ == "__main__":
    run(main)
