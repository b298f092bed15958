"""Small models with visible weights, their tokenizer and patterns, for the tests of trained models."""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    PreTrainedTokenizerBase,
)

from ggsa.assets import wordpiece
from ggsa.model import attention, carried, classifier
from ggsa.patterns.pattern import Pattern
from ggsa.workspace.vocabulary import TAGS

PIECES = [
    *wordpiece.SPECIAL.values(),
    *["the", "a", "plot", "film", "is", "thin", "good", "bad", "not", "at", "all", ".", ",", "##s"],
]
WORDS = [["the", "plot", "is", "thin", "."], ["not", "bad"], ["a", "good", "film", "plots"]]
TAGGED = [["DET", "NOUN", "AUX", "ADJ", "PUNCT"], ["PART", "ADJ"], ["DET", "ADJ", "NOUN", "NOUN"]]


def table(density: float = 0.3, seed: int = 4) -> Pattern:
    """A pattern of drawn pairs, `[CLS]` seeing everything."""
    allowed = np.random.default_rng(seed).random((len(TAGS), len(TAGS))) < density
    allowed[TAGS.index("[CLS]")] = True
    return Pattern("hard", TAGS, np.where(allowed, 0, -np.inf).astype(np.float32))


FULL = Pattern("full", TAGS, np.zeros((len(TAGS), len(TAGS)), np.float32))


def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    BertConfig(vocab_size=len(PIECES)).save_pretrained(folder)
    wordpiece.write_tokenizer(folder, PIECES, 32, True, "bert")
    return AutoTokenizer.from_pretrained(folder)


def enlarged(model: torch.nn.Module) -> torch.nn.Module:
    """The model with weights so large that a blocked pair changes what comes out."""
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                weights.mul_(12 if "embed" not in name else 6)
    return model.eval()


def run(folder: Path, pattern: Pattern | None = None, classes: int = 2) -> Path:
    """A folder as training leaves it."""
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, num_labels=classes,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(
        config, attn_implementation=attention.NAME
    )
    carried.carry(enlarged(model), pattern or table())
    folder.mkdir(parents=True, exist_ok=True)
    classifier.save(folder, model, tokenizer(folder), 16)
    return folder
