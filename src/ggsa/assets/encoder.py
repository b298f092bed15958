"""Where the encoder comes from: a checkpoint of the Hub, a mirror or a folder, or random weights.

Whatever the source, `data/encoder/` ends up in one layout: `config.json` that names its model type,
a fast tokenizer, and `model.safetensors` if pretrained. A stand-in of the paper's checkpoint is
used only when it is named, never instead.
"""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from transformers import BertConfig

from ggsa.assets import corpus, hub, policy, wordpiece
from ggsa.assets.corpus import Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace import artifacts
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

PAPER_CHECKPOINT = "prajjwal1/bert-tiny"
PAPER_REVISION = "6f75de8b60a9f8a2fdf7b69cbd86d9e64bcb3837"

CONFIG, SAFETENSORS, PICKLED = "config.json", "model.safetensors", "pytorch_model.bin"
DESCRIPTIVE = (CONFIG, "vocab.txt", wordpiece.TOKENIZER, wordpiece.SETTINGS)

VOCABULARY = Path("bert-base-uncased/vocab.txt")
VOCABULARY_MD5 = "64800d5d8528ce344256daf115d4965e"
REPOSITORY_NAME = re.compile(r"[\w.-]*\w(/\w[\w.-]*)?", re.ASCII)
RENAMED = {".gamma": ".weight", ".beta": ".bias"}
"""How old BERT checkpoints call the two parameters of a layer normalization."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a checkpoint, and where it came from."""

    source: str
    folder: Path


def obtain(
    params: Params, train: Sequence[Sentence], folder: Path
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Put the encoder into a folder; return its provenance and what it substitutes.

    Args:
        params: Name the checkpoint and the sources.
        train: The training split, of which a vocabulary is made where there is none.
        folder: Empty, and made whole by this.

    Raises:
        UserError: If a checkpoint that is demanded cannot be had, or what was had is not sound.
    """
    if params.encoder.initialization == "from_scratch":
        return _from_scratch(params, train, folder), ()
    found = find_checkpoint(params)
    if found is None:
        sentence = f"The encoder starts from random weights, not from {params.encoder.checkpoint}."
        policy.notice(sentence)
        return _from_scratch(params, train, folder), (sentence,)
    normalize(found.folder, folder, params.encoder.checkpoint)
    provenance = {
        "source": found.source,
        "checkpoint": params.encoder.checkpoint,
        "revision": params.encoder.revision if found.source == "hub" else None,
        "pretrained": True,
        "is_paper_checkpoint": (found.source, params.encoder.checkpoint, params.encoder.revision)
        == ("hub", PAPER_CHECKPOINT, PAPER_REVISION),
        "vocabulary": "the checkpoint's",
        "sha256": corpus.sha256(folder / SAFETENSORS),
        "tokenizer_sha256": corpus.sha256(folder / wordpiece.TOKENIZER),
    }
    return provenance, ()


# Finding a checkpoint.


def find_checkpoint(params: Params) -> Checkpoint | None:
    """Return the checkpoint that params.yaml names, or None to start from scratch.

    None is returned only under `initialization: auto`, where the Hub was neither demanded nor
    reached, and nothing else has the checkpoint. One that the Hub does not know is a mistake.

    Raises:
        UserError: If it is demanded and cannot be had, or if there is no such thing.
    """
    name = params.encoder.checkpoint
    if (Path(name).expanduser() / CONFIG).is_file():
        return Checkpoint("folder", Path(name).expanduser())
    attempts = {"hub": lambda: _from_hub(params), "mirror": lambda: _from_mirror(params)}
    if params.encoder.initialization == "auto":
        attempts["embedded"] = lambda: None
        if params.assets.source == "mirror" and params.assets.mirror_folder() is not None:
            attempts["mirror"] = lambda: mirror_checkpoint(params)
    source, folder = policy.first_available("encoder", params, attempts)
    return None if folder is None else Checkpoint(source, folder)


def mirror_checkpoint(params: Params) -> Path | None:
    """Return the mirror's folder of that name, with or without the owner before it, or None."""
    mirror, name = params.assets.mirror_folder(), params.encoder.checkpoint
    names = (name, name.rsplit("/", 1)[-1])
    folders = [mirror / option for option in names] if mirror else []
    return next((folder for folder in folders if (folder / CONFIG).is_file()), None)


def _from_mirror(params: Params) -> Path:
    if params.assets.mirror_folder() is None:
        raise Unavailable(f"there is no folder {params.assets.mirror}")
    folder = mirror_checkpoint(params)
    if folder is None:
        raise Unavailable(f"{params.assets.mirror_folder()} has no {params.encoder.checkpoint}")
    return folder


def _from_hub(params: Params) -> Path:
    """Return the cached folder of a Hub checkpoint, safetensors preferred, every file verified.

    Raises:
        UserError: If the Hub says that there is no such checkpoint, and the mirror has none either.
    """
    name, revision = params.encoder.checkpoint, params.encoder.revision
    timeout = params.assets.hub_timeout_seconds
    try:
        if not REPOSITORY_NAME.fullmatch(name):
            raise Unavailable(f"{name!r} is no name of a repository", absent=True)
        folder = hub.snapshot(name, revision, [*DESCRIPTIVE, SAFETENSORS], timeout)
        if not (folder / SAFETENSORS).exists():
            folder = hub.snapshot(name, revision, [*DESCRIPTIVE, PICKLED], timeout)
        if not (folder / CONFIG).exists():
            raise Unavailable(f"{name} has no {CONFIG}", absent=True)
    except Unavailable as error:
        if error.absent and mirror_checkpoint(params) is None:
            raise UserError(
                f"encoder.checkpoint: there is no {name}, revision {revision}, on the Hub, in the "
                f"mirror or as a folder ({error}). Correct the name or the revision, or set "
                f"encoder.initialization: from_scratch."
            ) from error
        raise
    return folder


# Bringing it into one layout.


def normalize(source: Path, folder: Path, name: str) -> None:
    """Write a checkpoint's configuration, fast tokenizer and weights in today's layout.

    Args:
        source: The checkpoint's folder.
        folder: Where the three go.
        name: How params.yaml calls the checkpoint, for messages.

    Raises:
        UserError: If it is neither BERT nor DistilBERT, or one of its files is damaged or missing.
    """
    try:
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"encoder.checkpoint: {CONFIG} of {name} is not valid JSON ({error}). Obtain it again."
        ) from error
    config.setdefault("model_type", "distilbert" if "n_layers" in config else "bert")
    if config["model_type"] not in wordpiece.CLASSES:
        raise UserError(
            f"encoder.checkpoint: {name} is of the architecture {config['model_type']}. Choose a "
            f"BERT or DistilBERT checkpoint."
        )
    artifacts.write_json(folder / CONFIG, config)
    positions = config.get("max_position_embeddings", 512)
    wordpiece.copy_tokenizer(source, folder, positions, config["model_type"])
    _write_weights(source, folder / SAFETENSORS, name)


def _write_weights(source: Path, target: Path, name: str) -> None:
    """Copy the weights, or convert them where they are pickled or bear old names."""
    file = next((f for f in (SAFETENSORS, PICKLED) if (source / f).is_file()), None)
    if file is None:
        raise UserError(
            f"encoder.checkpoint: {name} has neither {SAFETENSORS} nor {PICKLED}. Set "
            f"encoder.initialization: from_scratch to start from random weights."
        )
    try:
        if file == SAFETENSORS:
            weights = safetensors.torch.load_file(source / file)
        else:
            weights = torch.load(source / file, map_location="cpu", weights_only=True)
        renamed = {_today(key): value for key, value in weights.items()}
        if file == SAFETENSORS and renamed.keys() == weights.keys():
            shutil.copyfile(source / file, target)
            return
        # Tied weights share their memory, which the format refuses: each gets a copy of its own.
        copies = {key: renamed[key].contiguous().clone() for key in sorted(renamed)}
    except OSError:
        raise
    except Exception as error:  # torch and safetensors raise a class of their own per damage
        raise UserError(
            f"encoder.checkpoint: {file} of {name} cannot be read ({hub.reason(error)}). It is "
            f"damaged: obtain it again."
        ) from error
    safetensors.torch.save_file(copies, target, metadata={"format": "pt"})


def _today(key: str) -> str:
    """Return today's name of a parameter."""
    for old, new in RENAMED.items():
        if key.endswith(f"LayerNorm{old}"):
            return key.removesuffix(old) + new
    return key


# From scratch.


def _from_scratch(params: Params, train: Sequence[Sentence], folder: Path) -> dict[str, Any]:
    """Write configuration and tokenizer of an encoder without weights, and return its provenance.

    The vocabulary is the mirror's, if it may be asked and has one, else trained on the sentences.
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
        "tokenizer_sha256": corpus.sha256(folder / wordpiece.TOKENIZER),
    }


def _mirror_vocabulary(params: Params) -> list[str] | None:
    mirror = params.assets.mirror_folder()
    if params.assets.source not in ("auto", "mirror") or mirror is None:
        return None
    path = mirror / VOCABULARY
    if not path.is_file():
        return None
    corpus.verify(str(path), "md5", VOCABULARY_MD5, corpus.md5(path))
    return wordpiece.read_vocabulary(path)
