"""Obtains the encoder: a checkpoint from the Hub, a mirror or a folder, or random weights.

`data/encoder/` has one layout for every source: `config.json` with the model type, a fast
tokenizer, and `model.safetensors` if pretrained. A stand-in for the paper's checkpoint is used only
if `encoder.checkpoint` names it.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import transformers
from torch import Tensor
from transformers import BertConfig, PreTrainedModel

from ggsa.assets import checkpoints, hub, policy, wordpiece
from ggsa.assets.checkpoints import CONFIG
from ggsa.assets.corpus import Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace import artifacts, checksums
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import quiet_loading
from ggsa.workspace.provenance import SENTIMENT
from ggsa.workspace.vocabulary import MODEL_PREFIX

PAPER_CHECKPOINT = "prajjwal1/bert-tiny"
PAPER_REVISION = "6f75de8b60a9f8a2fdf7b69cbd86d9e64bcb3837"

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
DESCRIPTIVE = (CONFIG, "vocab.txt", wordpiece.TOKENIZER, wordpiece.SETTINGS)

VOCABULARY = Path("bert-base-uncased/vocab.txt")
VOCABULARY_MD5 = "64800d5d8528ce344256daf115d4965e"
REPOSITORY_NAME = re.compile(r"[\w.-]*\w(/\w[\w.-]*)?", re.ASCII)
HEAD = "classifier.weight"
"""Name of a classification head's weights in BERT and DistilBERT, `[class, dim]`."""
ARCHITECTURES = {"bert": "BertForPreTraining", "distilbert": "DistilBertForMaskedLM"}
"""The class of a checkpoint whose config.json names no class of `transformers`."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a checkpoint, and its source."""

    source: str
    folder: Path


def obtain(
    params: Params,
    train: Sequence[Sentence],
    folder: Path,
    classes: Sequence[str] = SENTIMENT,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write the encoder to a folder; return its provenance and what it replaces.

    Args:
        params: Names the checkpoint and the allowed sources.
        train: The training split; a vocabulary is trained on it where there is none.
        folder: An empty folder.
        classes: Names of the corpus's classes, which the head of a checkpoint must fit.

    Raises:
        UserError: If a required checkpoint is unavailable or has another number of classes, or a
            file is damaged.
    """
    if params.encoder.initialization == "from_scratch":
        return _from_scratch(params, train, folder), ()
    checkpoint = find_checkpoint(params)
    if checkpoint is None:
        warning = f"The encoder starts from random weights, not from {params.encoder.checkpoint}."
        policy.notice(warning)
        return _from_scratch(params, train, folder), (warning,)
    _verify(checkpoint, params)
    normalize(checkpoint.folder, folder, params.encoder.checkpoint)
    _check_head(folder / SAFETENSORS, params.encoder.checkpoint, classes)
    provenance = {
        "source": checkpoint.source,
        "checkpoint": params.encoder.checkpoint,
        "revision": params.encoder.revision if checkpoint.source == "hub" else None,
        "pretrained": True,
        "is_paper_checkpoint": (
            checkpoint.source,
            params.encoder.checkpoint,
            params.encoder.revision,
        )
        == ("hub", PAPER_CHECKPOINT, PAPER_REVISION),
        "vocabulary": "the checkpoint's",
        "sha256": checksums.sha256(folder / SAFETENSORS),
        "tokenizer_sha256": checksums.sha256(folder / wordpiece.TOKENIZER),
    }
    return provenance, ()


# Finding a checkpoint.


def find_checkpoint(params: Params) -> Checkpoint | None:
    """Return the checkpoint that `encoder.checkpoint` names, or None to start from scratch.

    None is returned only under `initialization: auto`, where the Hub was neither required nor
    reached, and no other source has the checkpoint.

    Raises:
        UserError: If the checkpoint is required and unavailable, or the Hub answers that it does
            not exist.
    """
    own = checkpoints.own_folder(params)
    if own is not None:
        return Checkpoint("folder", own)
    attempts = {"hub": lambda: _from_hub(params), "mirror": lambda: _from_mirror(params)}
    if params.encoder.initialization == "auto":
        attempts["embedded"] = lambda: None
        if params.assets.source == "mirror" and params.assets.mirror_folder() is not None:
            attempts["mirror"] = lambda: checkpoints.mirror_folder(params)
    source, folder = policy.first_available("encoder", params, attempts)
    return None if folder is None else Checkpoint(source, folder)


def _from_mirror(params: Params) -> Path:
    mirror, folder = policy.mirror_folder(params), checkpoints.mirror_folder(params)
    if folder is None:
        raise Unavailable(f"{mirror} has no {params.encoder.checkpoint}")
    return folder


def _from_hub(params: Params) -> Path:
    """Return the cached folder of a Hub checkpoint, safetensors preferred, every file verified.

    Raises:
        UserError: If the Hub answers that the checkpoint does not exist, and the mirror lacks it.
    """
    name, revision = params.encoder.checkpoint, params.encoder.revision
    timeout = params.assets.hub_timeout_seconds
    try:
        if not REPOSITORY_NAME.fullmatch(name):
            raise Unavailable(f"{name!r} is not a name of a repository", absent=True)
        folder = hub.snapshot(name, revision, [*DESCRIPTIVE, SAFETENSORS], timeout)
        if not (folder / SAFETENSORS).exists():
            folder = hub.snapshot(name, revision, [*DESCRIPTIVE, PICKLED], timeout)
        if not (folder / CONFIG).exists():
            raise Unavailable(f"{name} has no {CONFIG}", absent=True)
    except Unavailable as error:
        if error.absent and checkpoints.mirror_folder(params) is None:
            raise UserError(
                f"encoder.checkpoint: {name}, revision {revision}, is not on the Hub, in the "
                f"mirror or a folder ({error}). Correct the name or the revision, or set "
                f"encoder.initialization to from_scratch."
            ) from error
        raise
    return folder


def _verify(checkpoint: Checkpoint, params: Params) -> None:
    """Check the weights against `encoder.sha256`, if it is given.

    Raises:
        UserError: If they are another version.
    """
    expected, file = params.encoder.sha256, weights_file(checkpoint.folder)
    if expected is None or file is None:  # without weights, `normalize` says what is missing
        return
    what = f"encoder.checkpoint: {file.name} of {params.encoder.checkpoint} ({checkpoint.source})"
    checksums.verify(what, "SHA256", expected, checksums.sha256(file))


# One layout.


def weights_file(folder: Path) -> Path | None:
    """Return the file of a checkpoint's weights, safetensors preferred; None if it has none."""
    return next((folder / f for f in (SAFETENSORS, PICKLED) if (folder / f).is_file()), None)


def normalize(source: Path, folder: Path, name: str) -> None:
    """Write a checkpoint's configuration, fast tokenizer and weights with current names.

    Args:
        source: The checkpoint's folder.
        folder: An empty folder.
        name: Name of the checkpoint, for messages.

    Raises:
        UserError: If it is neither BERT nor DistilBERT, or a file is damaged or missing.
    """
    try:
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"encoder.checkpoint: {CONFIG} of {name} is not valid JSON ({error}). Obtain it again."
        ) from error
    if not isinstance(config, dict):
        raise UserError(
            f"encoder.checkpoint: {CONFIG} of {name} is not an object. Obtain it again."
        )
    config.setdefault("model_type", "distilbert" if "n_layers" in config else "bert")
    config["model_type"] = config["model_type"].removeprefix(MODEL_PREFIX)  # a run or an export
    if config["model_type"] not in wordpiece.CLASSES:
        raise UserError(
            f"encoder.checkpoint: {name} has the architecture {config['model_type']}. Choose a "
            f"BERT or DistilBERT checkpoint."
        )
    artifacts.write_json(folder / CONFIG, config)
    positions = config.get("max_position_embeddings", 512)
    wordpiece.copy_tokenizer(source, folder, positions, config["model_type"])
    _write_weights(source, folder, name)


def _write_weights(source: Path, folder: Path, name: str) -> None:
    """Write the weights; safetensors with current names are copied byte for byte."""
    file = weights_file(source)
    if file is None:
        raise UserError(
            f"encoder.checkpoint: {name} has neither {SAFETENSORS} nor {PICKLED}. Set "
            f"encoder.initialization to from_scratch to start from random weights."
        )
    try:
        weights = _current(source, folder)
        names = set()
        if file.name == SAFETENSORS:
            with safetensors.safe_open(file, "pt") as stored:
                names = set(stored.keys())
    except Exception as error:  # transformers, torch and safetensors have no common error class
        raise UserError(
            f"encoder.checkpoint: {file.name} of {name} cannot be read ({hub.reason(error)}). It is "
            f"damaged. Obtain it again."
        ) from error
    if weights.keys() <= names:
        shutil.copyfile(file, folder / SAFETENSORS)
    else:
        safetensors.torch.save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})


def _check_head(file: Path, name: str, classes: Sequence[str]) -> None:
    """Check that the classification head of a checkpoint, if it has one, fits the classes.

    Raises:
        UserError: If it has another number of classes.
    """
    with safetensors.safe_open(file, "pt") as stored:
        if HEAD not in stored.keys():  # noqa: SIM118 - not a mapping
            return
        count = stored.get_slice(HEAD).get_shape()[0]
    if count != len(classes):
        raise UserError(
            f"encoder.checkpoint: {name} has a classification head of {count} classes, but the "
            f"corpus has {len(classes)} ({', '.join(classes)}). Name a checkpoint without a "
            f"classification head, such as the one it was fine-tuned from, or with {len(classes)} "
            f"classes."
        )


def _current(source: Path, folder: Path) -> dict[str, Tensor]:
    """Return a checkpoint's parameters under the names that `transformers` uses today.

    Neither parameters that the checkpoint lacks nor tied ones are among them.

    Args:
        source: Folder of the weights.
        folder: Folder of the configuration, which names the class that reads them.
    """
    config = transformers.AutoConfig.from_pretrained(folder)
    architecture = getattr(transformers, (config.architectures or [""])[0], None)
    if not (isinstance(architecture, type) and issubclass(architecture, PreTrainedModel)):
        architecture = getattr(transformers, ARCHITECTURES[config.model_type])
    with quiet_loading():
        model, report = architecture.from_pretrained(
            source, config=config, local_files_only=True, output_loading_info=True
        )
    absent = {*report["missing_keys"], *model.all_tied_weights_keys}
    return {
        key: parameter.contiguous()
        for key, parameter in sorted(model.state_dict().items())
        if key not in absent
    }


# From scratch.


def _from_scratch(params: Params, train: Sequence[Sentence], folder: Path) -> dict[str, Any]:
    """Write configuration and tokenizer of an encoder without weights, and return its provenance.

    The vocabulary is the mirror's, if a mirror is allowed and has one, else trained on the
    sentences.
    """
    encoder = params.encoder
    pieces = _mirror_vocabulary(params)
    vocabulary = "bert-base-uncased"
    if pieces is None:
        vocabulary = f"trained on the corpus (at most {encoder.vocabulary} word pieces)"
        pieces = wordpiece.train_vocabulary((row.words for row in train), encoder.vocabulary)
        policy.notice(f"encoder: a vocabulary of {len(pieces)} word pieces was trained.")
    BertConfig(
        vocab_size=len(pieces),
        hidden_size=encoder.hidden,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        intermediate_size=encoder.feed_forward,
        max_position_embeddings=encoder.positions,
        initializer_range=encoder.initializer_range,
        pad_token_id=pieces.index(wordpiece.SPECIAL["pad_token"]),
    ).save_pretrained(folder)
    wordpiece.write_tokenizer(folder, pieces, encoder.positions, True, "bert")
    return {
        "source": "from_scratch",
        "checkpoint": None,
        "revision": None,
        "pretrained": False,
        "is_paper_checkpoint": False,
        "vocabulary": vocabulary,
        "sha256": None,
        "tokenizer_sha256": checksums.sha256(folder / wordpiece.TOKENIZER),
    }


def _mirror_vocabulary(params: Params) -> list[str] | None:
    mirror = params.assets.mirror_folder()
    if params.assets.source not in ("auto", "mirror") or mirror is None:
        return None
    path = mirror / VOCABULARY
    if not path.is_file():
        return None
    checksums.verify(str(path), "MD5", VOCABULARY_MD5, checksums.md5(path))
    return wordpiece.read_vocabulary(path)
