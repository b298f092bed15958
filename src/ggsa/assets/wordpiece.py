"""WordPiece vocabularies, and fast tokenizers made from them.

Every tokenizer that is written here is loaded again and must know a word of its vocabulary, because
some ways of loading a `vocab.txt` leave an empty vocabulary and every word becomes `[UNK]`.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import BertWordPieceTokenizer
from transformers import AutoTokenizer

from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
CLASSES = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer"}
TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"


def train_vocabulary(sentences: Iterable[Sequence[str]], size: int) -> list[str]:
    """Return a vocabulary trained on sentences, at most `size` word pieces, special tokens first.

    The library numbers characters within words in an order that changes from run to run, and breaks
    ties by number. Passing them in sorted order makes the vocabulary reproducible.
    """
    texts = [" ".join(words) for words in sentences]
    trained = BertWordPieceTokenizer(lowercase=True)
    characters = sorted(
        {c for text in texts for c in trained.normalizer.normalize_str(text)} - {" "}
    )
    fixed = [*SPECIAL.values(), *characters, *(f"##{character}" for character in characters)]
    trained.train_from_iterator(
        texts, vocab_size=max(size, len(fixed)), special_tokens=fixed, show_progress=False
    )
    numbers = trained.get_vocab(with_added_tokens=False)
    return sorted(numbers, key=numbers.__getitem__)


def read_vocabulary(path: Path) -> list[str]:
    """Return the word pieces of a `vocab.txt`, one per line.

    Raises:
        UserError: If the file is not a WordPiece vocabulary.
    """
    try:
        pieces = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as a vocabulary ({error}). Obtain it again."
        ) from error
    pieces = [piece.removesuffix("\r") for piece in pieces]
    absent = [token for token in SPECIAL.values() if token not in pieces]
    if absent or len(set(pieces)) != len(pieces):
        problem = f"lacks {', '.join(absent)}" if absent else "has duplicates"
        raise UserError(f"{path} is not a WordPiece vocabulary: it {problem}. Obtain it again.")
    return pieces


def write_tokenizer(
    folder: Path, pieces: Sequence[str], positions: int, lowercase: bool, model_type: str
) -> None:
    """Write the fast tokenizer of a vocabulary, and check that it loads.

    Args:
        folder: Receives `tokenizer.json` and its settings; contains a `config.json`.
        pieces: The vocabulary, in order.
        positions: Longest input of the model, in word pieces.
        lowercase: Whether text is lower-cased first.
        model_type: `bert` or `distilbert`.
    """
    tokenizer = BertWordPieceTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, lowercase=lowercase
    )
    tokenizer.save(str(folder / TOKENIZER), pretty=False)
    settings = {
        "tokenizer_class": CLASSES[model_type],
        "do_lower_case": lowercase,
        "model_max_length": positions,
        **SPECIAL,
    }
    artifacts.write_json(folder / SETTINGS, settings)
    require_known_word(folder)


def copy_tokenizer(source: Path, folder: Path, positions: int, model_type: str) -> None:
    """Write a checkpoint's tokenizer as a fast one, and check that it loads.

    It is copied from `tokenizer.json`, or made from `vocab.txt` where there is none.

    Raises:
        UserError: If the checkpoint has neither file, or its tokenizer knows no word.
    """
    settings = _settings(source)
    if (source / TOKENIZER).exists():
        _copy_untruncated(source / TOKENIZER, folder / TOKENIZER)
        settings.pop("auto_map", None)
        settings = {**SPECIAL, "model_max_length": positions, **settings}
        settings["tokenizer_class"] = CLASSES[model_type]
        artifacts.write_json(folder / SETTINGS, settings)
        require_known_word(folder)
    elif (source / "vocab.txt").exists():
        pieces = read_vocabulary(source / "vocab.txt")
        lowercase = settings.get("do_lower_case", True)
        write_tokenizer(folder, pieces, positions, lowercase, model_type)
    else:
        raise UserError(
            f"encoder.checkpoint: {source.name} has no tokenizer.json and no vocab.txt. "
            f"Choose a BERT or DistilBERT checkpoint that has one."
        )


def _copy_untruncated(source: Path, target: Path) -> None:
    """Copy a tokenizer.json with truncation and padding switched off.

    Some checkpoints carry those of their own training; `train.max_pieces` truncates here, and a
    batch pads.

    Raises:
        UserError: If the file is not valid JSON.
    """
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{source} is not valid JSON ({error}). Obtain it again.") from error
    if content.get("truncation") is None and content.get("padding") is None:
        shutil.copyfile(source, target)
        return
    content |= {"truncation": None, "padding": None}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    artifacts.write_text(target, text)


def _settings(source: Path) -> dict[str, Any]:
    path = source / SETTINGS
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}). Obtain it again.") from error


def require_known_word(folder: Path) -> None:
    """Check that a tokenizer loads, knows a word of its own vocabulary, and adds special tokens.

    Raises:
        UserError: If it does not.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        word = max(
            (
                piece
                for piece in tokenizer.get_vocab()
                if piece.isascii() and piece.isalpha() and piece.islower()
            ),
            key=lambda piece: (len(piece), piece),
        )
        tokens = tokenizer([word], is_split_into_words=True).tokens()
    except Exception as error:  # the library has no common error class
        raise UserError(
            f"The encoder's tokenizer cannot be loaded ({error}). Obtain the encoder again."
        ) from error
    expected = [tokenizer.cls_token, word, tokenizer.sep_token]
    if tokens != expected or not tokenizer.is_fast:
        raise UserError(
            f"The encoder's tokenizer does not know the word {word!r} of its vocabulary: expected "
            f"{expected}, got {tokens}. Its files are damaged or of another kind of model. Choose "
            f"another checkpoint."
        )
