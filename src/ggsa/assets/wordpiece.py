"""WordPiece vocabularies, and the fast tokenizers made of them.

Between a list of word pieces, wherever it came from, and the tokenizer files in `data/encoder/`.
Every tokenizer that is written here is loaded again and must know a word of its vocabulary: some
ways of loading a `vocab.txt` leave an empty vocabulary, and every word becomes `[UNK]`.
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
    """Return at most `size` word pieces, special ones first, that spell the sentences shortly.

    The library numbers the characters inside words in an order that changes from run to run, and
    breaks ties by number. Handing them over sorted makes the vocabulary the same each time.
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
    """Return the word pieces of a `vocab.txt`, one a line.

    Raises:
        UserError: If the file is no such list.
    """
    try:
        pieces = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a vocabulary ({error}).") from error
    pieces = [piece.removesuffix("\r") for piece in pieces]
    absent = [token for token in SPECIAL.values() if token not in pieces]
    if absent or len(set(pieces)) != len(pieces):
        problem = f"lacks {', '.join(absent)}" if absent else "names a word piece twice"
        raise UserError(f"{path} is no WordPiece vocabulary: it {problem}.")
    return pieces


def write_tokenizer(
    folder: Path, pieces: Sequence[str], positions: int, lowercase: bool, model_type: str
) -> None:
    """Write the fast tokenizer of a vocabulary, and verify that it loads.

    Args:
        folder: Where `tokenizer.json` and its settings go, next to a `config.json`.
        pieces: The vocabulary, in order.
        positions: The longest input of the model, in word pieces.
        lowercase: Whether the vocabulary is of lower-cased text.
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
    """Write the tokenizer of a checkpoint as a fast one, and verify that it loads.

    Taken from its `tokenizer.json` where it has one, else made of its `vocab.txt`.

    Raises:
        UserError: If the checkpoint has neither, or its tokenizer knows no word.
    """
    settings = _settings(source)
    if (source / TOKENIZER).exists():
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)
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


def _settings(source: Path) -> dict[str, Any]:
    path = source / SETTINGS
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}). Obtain it again.") from error


def require_known_word(folder: Path) -> None:
    """Refuse a tokenizer that cannot be loaded, or does not know a word of its own vocabulary.

    Raises:
        UserError: If that is so, or it does not mark the start and end of a sentence.
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
        found = tokenizer([word], is_split_into_words=True).tokens()
    except Exception as error:  # the library raises a class of its own per kind of damage
        raise UserError(f"The tokenizer of the encoder cannot be loaded ({error}).") from error
    wanted = [tokenizer.cls_token, word, tokenizer.sep_token]
    if found != wanted or not tokenizer.is_fast:
        raise UserError(
            f"The tokenizer of the encoder does not know its own word {word!r}: it gave {found}, "
            f"but {wanted} was expected. Its files are damaged or of another kind of model."
        )
