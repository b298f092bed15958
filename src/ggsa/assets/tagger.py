"""Obtains the part-of-speech tagger: Stanza's, the mirror's, a file, or one trained here.

`data/tagger/` holds all that Stanza's pipeline needs without a network: the model, the models that
it builds on (word vectors, character language models), an empty `resources.json`, and
`tagger.json`, which says how to load it:

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

from ggsa.assets import hub, policy
from ggsa.assets.policy import Unavailable
from ggsa.assets.probe import treebank
from ggsa.assets.tagger_words import DESCRIPTION
from ggsa.workspace import artifacts, checksums
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

MODEL, MODEL_ENDING = "pos.pt", ".pt"
MIRROR_MODEL = Path("stanza/en/pos/ewt.pt")
DEPENDENCIES = ("pretrain", "forward_charlm", "backward_charlm")


def obtain(params: Params, folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write the tagger to a folder; return its provenance and what it replaces.

    Args:
        params: Names the tagger and the allowed sources.
        folder: An empty folder.

    Raises:
        UserError: If no allowed source has it, or it cannot be loaded.
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
    files = {path.name: checksums.sha256(path) for path in sorted(folder.glob("*.pt"))}
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
    if params.tagger.gold:  # it tags only the report's examples: no result depends on it
        return {"source": "gold", "name": "the probe grammar's own tags"}, ()
    provenance = {"source": source, "name": name, "sha256": files[MODEL], "files": files}
    if source in ("hub", "file"):
        return provenance, ()
    warning = f"The tagger is {name}, not Stanza's {params.tagger.package} from the Hub."
    policy.notice(warning)
    return provenance, (warning,)


def is_file(package: str) -> bool:
    """Return whether `tagger.package` is the user's own file, not the name of a package."""
    return package.endswith(MODEL_ENDING)


def _from_file(params: Params, folder: Path) -> str:
    """Copy the user's own model, which must not build on another one.

    Raises:
        UserError: If it does not exist, or builds on word vectors or a language model.
    """
    path = Path(params.tagger.package)
    if not path.is_file():
        raise UserError(f"tagger.package: {path} does not exist. Correct the path.")
    shutil.copyfile(path, folder / MODEL)
    needs = [name for name in ("pretrain", "charlm") if _settings(folder / MODEL).get(name)]
    if needs:
        raise UserError(
            f"tagger.package: {path} builds on another model ({', '.join(needs)}), which a single "
            f"file does not contain. Train it without one, or name a package of Stanza."
        )
    return f"the user's own {path.name}"


def _from_hub(params: Params, folder: Path) -> str:
    """Download Stanza's tagger and the models that it builds on, each verified by its MD5.

    Every package without a transformer can be used. `default_fast` has no character language model
    and is several times faster on a CPU.
    """
    timeout = params.assets.hub_timeout_seconds
    language, package = params.tagger.language, params.tagger.package
    if hub.constants.is_offline_mode():
        raise Unavailable("HF_HUB_OFFLINE is set")
    hub.require_hub(timeout)  # for the models
    hub.require_answer(stanza_resources.DEFAULT_RESOURCES_URL, timeout)  # for their list
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".stanza-") as downloads:
        with hub.transfer(timeout):
            downloaded = _download(language, package, downloads)
        for kind, name in downloaded:
            target = MODEL if kind == "pos" else f"{kind}.pt"
            files = list(Path(downloads).glob(f"*/{kind}/{name}.pt"))
            if kind not in ("pos", *DEPENDENCIES) or len(files) != 1:
                raise UserError(
                    f"tagger.package: Stanza's package {package} needs {kind} {name}, which this "
                    f"project does not support. Choose default_fast."
                )
            files[0].replace(folder / target)
    names = [name for kind, name in downloaded if kind == "pos"]
    if not names:
        raise UserError(
            f"tagger.package: Stanza has no package {package} with a tagger for the language "
            f"{language}. Choose default_fast."
        )
    return f"stanza {language}/{names[0]}"


def _download(language: str, package: str, folder: str) -> list[list[str]]:
    """Run Stanza's download of a tagger, and return kind and name of every model it downloaded.

    Raises:
        UserError: If the language is unknown or a file does not match its MD5.
    """
    try:
        return stanza.download(
            language, model_dir=folder, package=package, processors="pos", logging_level="ERROR"
        )
    except stanza_resources.UnknownLanguageError as error:
        raise UserError(
            f"tagger.language: Stanza has no language {language!r}. Choose en for English, or name "
            f"your own model as tagger.package."
        ) from error
    except ValueError as error:
        if str(error).startswith("md5 for"):  # "md5 for <file> is <found>, expected <expected>"
            text = str(error).replace(f"{folder}{os.sep}", "")
            raise UserError(
                f"Stanza's tagger does not match its checksum: {text}. It is damaged, or newer "
                f"than Stanza's list. Try again, or choose another assets.source."
            ) from error
        raise


def _from_mirror(params: Params, folder: Path) -> str:
    mirror = policy.mirror_folder(params)
    if params.tagger.language != "en":
        raise Unavailable(f"it has no tagger for the language {params.tagger.language}")
    if not (mirror / MIRROR_MODEL).is_file():
        raise Unavailable(f"{mirror} has no {MIRROR_MODEL}")
    shutil.copyfile(mirror / MIRROR_MODEL, folder / MODEL)
    return "the mirror's stanza/en/pos/ewt.pt (trained on UD English EWT)"


def _trained(params: Params, folder: Path) -> str:
    """Train Stanza's tagger on the treebank of the probe grammar, in a minute or less."""
    if params.tagger.language != treebank.LANGUAGE:
        raise Unavailable(
            f"it has the language {treebank.LANGUAGE} only, and tagger.language is "
            f"{params.tagger.language}"
        )
    policy.notice("tagger: training on the probe treebank.")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".training-") as training:
        trained = treebank.train_tagger(Path(training), params.corpus.seed)
        shutil.copyfile(trained, folder / MODEL)
    return "one trained on the probe treebank"


def _require_loadable(path: Path, params: Params) -> None:
    """Check that a file is a complete Stanza tagger that needs no transformer.

    Raises:
        UserError: If it is not.
    """
    transformer = _settings(path).get("bert_model")
    if transformer:
        raise UserError(
            f"tagger.package: {params.tagger.package} needs the transformer {transformer}, which "
            f"this project does not support. Choose default_fast."
        )


def _settings(path: Path) -> dict[str, Any]:
    """Return the options that a Stanza model was trained with.

    Raises:
        UserError: If the file is not a complete Stanza model.
    """
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True)["config"])
    except Exception as error:  # torch has no common error class
        raise UserError(
            f"The tagger is not a complete Stanza model ({hub.reason(error)}). The file is damaged. "
            f"Replace it at its source."
        ) from error
