"""Checkpoints on this machine, and what is known of the encoder before anything is downloaded.

It imports no library of models, so that `make check` stays fast.
"""

from pathlib import Path

from ggsa.workspace.config import Params

CONFIG = "config.json"


def own_folder(params: Params) -> Path | None:
    """Return the folder that `encoder.checkpoint` is the path of, or None."""
    folder = Path(params.encoder.checkpoint).expanduser()
    return folder if (folder / CONFIG).is_file() else None


def mirror_folder(params: Params) -> Path | None:
    """Return the mirror's folder of the checkpoint, with or without the owner's name, or None."""
    mirror, name = params.assets.mirror_folder(), params.encoder.checkpoint
    names = (name, name.rsplit("/", 1)[-1])
    folders = [mirror / option for option in names] if mirror else []
    return next((folder for folder in folders if (folder / CONFIG).is_file()), None)


def possible_initializations(params: Params) -> list[str]:
    """Return from what the encoder may start: `pretrained`, `from_scratch`, or either.

    It is either where only the Hub can tell, because `assets.source` is `auto` and no folder here
    has the checkpoint.
    """
    if params.encoder.initialization != "auto":
        return [params.encoder.initialization]
    source = params.assets.source
    if own_folder(params) or source == "hub":
        return ["pretrained"]
    if source != "embedded" and mirror_folder(params):
        return ["pretrained"]
    return ["pretrained", "from_scratch"] if source == "auto" else ["from_scratch"]
