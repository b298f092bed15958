"""Where the part-of-speech tagger comes from: Stanza's, the mirror's, a file, or trained here.

Whatever the source, `data/tagger/` ends up holding all that Stanza's pipeline needs without a
network: the model, what it was trained on top of (word vectors, character language models), an
empty `resources.json`, and `tagger.json`, which says how to load it:

    {"file": "pos.pt", "language": "en", "pipeline": {"pos_pretrain_path": "pretrain.pt"},
     "sha256": "...", "files": {"pos.pt": "...", "pretrain.pt": "..."}}

Values of `pipeline` whose names end in `_path` are file names in the same folder.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import stanza
import torch
from stanza.resources import common as stanza_resources

from ggsa.assets import corpus, hub, policy, probe
from ggsa.assets.policy import Unavailable
from ggsa.workspace import artifacts
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

MODEL, MODEL_ENDING = "pos.pt", ".pt"
DESCRIPTION = "tagger.json"
MIRROR_MODEL = Path("stanza/en/pos/ewt.pt")
DEPENDENCIES = ("pretrain", "forward_charlm", "backward_charlm")


def obtain(params: Params, folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Put the tagger into a folder; return its provenance and what it substitutes.

    Args:
        params: Name the tagger and the sources.
        folder: Empty, and made whole by this.

    Raises:
        UserError: If no source has it, or what one gave cannot be loaded.
    """
    if is_file(params.tagger.package):
        source, name = "file", _from_file(params, folder)
    else:
        attempts = {
            "hub": lambda: _from_hub(params, folder),
            "mirror": lambda: _from_mirror(params, folder),
            "embedded": lambda: _trained(params, folder),
        }
        source, name = policy.first_available("tagger", params, attempts)
    _require_loadable(folder / MODEL, params)
    files = {path.name: corpus.sha256(path) for path in sorted(folder.glob("*.pt"))}
    description = {
        "file": MODEL,
        "language": params.tagger.language,
        "pipeline": {
            f"pos_{kind}_path": f"{kind}.pt" for kind in DEPENDENCIES if f"{kind}.pt" in files
        },
        "sha256": files[MODEL],
        "files": files,
    }
    artifacts.write_json(folder / DESCRIPTION, description)
    artifacts.write_json(folder / "resources.json", {})
    if params.tagger.gold:  # asked for nothing but the report's examples: no result rests on it
        return {"source": "gold", "name": "the probe grammar's own tags"}, ()
    provenance = {"source": source, "name": name, "sha256": files[MODEL], "files": files}
    if source in ("hub", "file"):
        return provenance, ()
    sentence = f"The tagger is {name}, not Stanza's {params.tagger.package} of the Hub."
    policy.notice(sentence)
    return provenance, (sentence,)


def is_file(package: str) -> bool:
    """Return whether `tagger.package` is a file of the user's, not the name of a package."""
    return package.endswith(MODEL_ENDING)


def _from_file(params: Params, folder: Path) -> str:
    """Copy the user's own model, which must need nothing besides.

    Raises:
        UserError: If it is not there, or was trained on top of word vectors or of a language model.
    """
    path = Path(params.tagger.package)
    if not path.is_file():
        raise UserError(f"tagger.package: {path} does not exist. Correct it in params.yaml.")
    shutil.copyfile(path, folder / MODEL)
    needs = [name for name in ("pretrain", "charlm") if _settings(folder / MODEL).get(name)]
    if needs:
        raise UserError(
            f"tagger.package: {path} was trained on top of another model ({', '.join(needs)}), which "
            f"a single file does not hold. Train it with --no_pretrain and --no_charlm, or name a "
            f"package of Stanza."
        )
    return f"the user's own {path.name}"


def _from_hub(params: Params, folder: Path) -> str:
    """Download Stanza's tagger with all that it is built on, each file verified by its md5.

    Of the packages without a transformer any will do; `default_fast` is the one without a character
    language model, several times faster on a CPU.
    """
    timeout = params.assets.hub_timeout_seconds
    language, package = params.tagger.language, params.tagger.package
    if hub.constants.is_offline_mode():
        raise Unavailable("HF_HUB_OFFLINE is set")
    hub.require_hub(timeout)  # has the models
    hub.require_answer(stanza_resources.DEFAULT_RESOURCES_URL, timeout)  # the list
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".stanza-") as downloads:
        with hub.transfer(timeout):
            got = _download(language, package, downloads)
        for kind, name in got:
            target = MODEL if kind == "pos" else f"{kind}.pt"
            found = list(Path(downloads).glob(f"*/{kind}/{name}.pt"))
            if kind not in ("pos", *DEPENDENCIES) or len(found) != 1:
                raise UserError(
                    f"tagger.package: Stanza's package {package} needs {kind} {name}, which cannot "
                    f"be used here. Choose default_fast."
                )
            found[0].replace(folder / target)
    names = [name for kind, name in got if kind == "pos"]
    if not names:
        raise UserError(
            f"tagger.package: {package} is no package of Stanza with a tagger for the language "
            f"{language}. Choose default_fast."
        )
    return f"stanza {language}/{names[0]}"


def _download(language: str, package: str, folder: str) -> list[list[str]]:
    """Run Stanza's download of a tagger, and return the kinds and names of what it fetched.

    Raises:
        UserError: If the language is unknown or a file does not match its md5.
    """
    try:
        return stanza.download(
            language, model_dir=folder, package=package, processors="pos", logging_level="ERROR"
        )
    except stanza_resources.UnknownLanguageError as error:
        raise UserError(
            f"tagger.language: Stanza has no language {language!r}. Choose en for English, or name a "
            f"model of your own as tagger.package."
        ) from error
    except ValueError as error:
        if str(error).startswith("md5 for"):  # "md5 for <file> is <found>, expected <expected>"
            text = str(error).replace(f"{folder}{os.sep}", "")
            raise UserError(
                f"Stanza's tagger is not what was asked for: {text}. It is damaged, or its "
                f"resource list is of another time: try again, or choose another assets.source."
            ) from error
        raise


def _from_mirror(params: Params, folder: Path) -> str:
    mirror = params.assets.mirror_folder()
    if mirror is None:
        raise Unavailable(f"there is no folder {params.assets.mirror}")
    if params.tagger.language != "en":
        raise Unavailable(f"it has no tagger for the language {params.tagger.language}")
    if not (mirror / MIRROR_MODEL).is_file():
        raise Unavailable(f"{mirror} has no {MIRROR_MODEL}")
    shutil.copyfile(mirror / MIRROR_MODEL, folder / MODEL)
    return "the mirror's stanza/en/pos/ewt.pt (trained on UD English EWT)"


def _trained(params: Params, folder: Path) -> str:
    """Train Stanza's tagger on the treebank of the probe grammar, a minute or less."""
    if params.tagger.language != probe.LANGUAGE:
        raise Unavailable(
            f"it knows the language {probe.LANGUAGE} alone, and tagger.language is "
            f"{params.tagger.language}"
        )
    policy.notice("tagger: training on the probe treebank.")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".training-") as training:
        trained = probe.train_tagger(Path(training), params.corpus.seed)
        shutil.copyfile(trained, folder / MODEL)
    return "one trained on the probe treebank"


def _require_loadable(path: Path, params: Params) -> None:
    """Refuse a file that is no complete Stanza tagger, or one that needs a transformer besides.

    Raises:
        UserError: If it is either.
    """
    transformer = _settings(path).get("bert_model")
    if transformer:
        raise UserError(
            f"tagger.package: {params.tagger.package} needs the transformer {transformer} besides. "
            f"Choose default_fast."
        )


def _settings(path: Path) -> dict[str, Any]:
    """Return with which options a Stanza model was trained.

    Raises:
        UserError: If the file is no complete Stanza model.
    """
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True)["config"])
    except Exception as error:  # torch raises a class of its own per kind of damage
        raise UserError(
            f"The tagger that was obtained is no complete Stanza model ({hub.reason(error)}). The "
            f"file is damaged: replace it at its source."
        ) from error
