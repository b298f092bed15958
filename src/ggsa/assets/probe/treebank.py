"""The treebank of the probe grammar, and a Stanza tagger trained on it.

The download stage uses it where no other tagger is available. The sentences come from the grammar
of the probe corpus, from separate random streams. Many words occur with two tags (`charm`, `play`,
`like`, `that`), so the tagger has to read the context.
"""

import contextlib
import io
import logging
import random
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from stanza.models.common.doc import Document

from ggsa.assets.probe.sentences import ProbeSentence, sentences
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import progress_bar

LANGUAGE = "en"
SIZES = {"train": 1200, "dev": 200}  # sentences
STEPS = 250

# Small, since the vocabulary has a few hundred words. The seed, the files and the name are added.
OPTIONS = {
    "lang": LANGUAGE,
    "shorthand": f"{LANGUAGE}_probe",
    "hidden_dim": 64,
    "char_hidden_dim": 32,
    "char_emb_dim": 16,
    "word_emb_dim": 32,
    "word_cutoff": 1,
    "transformed_dim": 32,
    "tag_emb_dim": 16,
    "deep_biaff_hidden_dim": 64,
    "composite_deep_biaff_hidden_dim": 16,
    "num_layers": 1,
    "max_steps": STEPS,
    "eval_interval": 50,
    "lr": 0.01,
    "max_steps_before_stop": STEPS,
    "batch_size": 32,  # sentences
    "dropout": 0.3,
    "word_dropout": 0.1,
    "augment_nopunct": 0.1,
    "log_step": STEPS,
}


def treebank(seed: int) -> dict[str, str]:
    """Return CoNLL-U text for `train` and `dev`, with words and universal tags only.

    Most sentences are not terse, so that every construction is frequent.
    """
    texts = {}
    for split, size in SIZES.items():
        source = sentences(random.Random(f"treebank {split} {seed}"), terse_share=0.3)
        document = Document([_words(next(source)) for _ in range(size)])
        texts[split] = f"{document:C}\n\n"
    return texts


def train_tagger(folder: Path, seed: int) -> Path:
    """Train a Stanza tagger on the treebank of a seed and return the path of its model.

    The folder receives only `pos.pt`.

    Raises:
        UserError: If Stanza stops without leaving a model.
    """
    print(
        f"Training a part-of-speech tagger on {SIZES['train']} sentences of the probe grammar.",
        flush=True,
    )
    model = Path(folder) / "pos.pt"
    trained_on(treebank(seed), model, seed, OPTIONS)
    return model


def trained_on(texts: Mapping[str, str], model: Path, seed: int, options: Mapping) -> None:
    """Train a Stanza tagger on any treebank and write it as one file.

    Stanza's trainer runs on one thread, so results are bit-identical on one machine.

    Args:
        texts: CoNLL-U of `train` and `dev`.
        model: File of the tagger.
        seed: Seed of Stanza's trainer.
        options: Options of Stanza's trainer, including language and number of steps.

    Raises:
        UserError: If Stanza stops without leaving a model.
    """
    from stanza.models import tagger  # heavy, and only needed here

    with (
        tempfile.TemporaryDirectory() as scratch,
        progress_bar("train tagger", options["max_steps"], "step") as bar,
        _quietly(_Steps(bar)),
    ):
        files = {}
        for split, text in texts.items():
            files[split] = Path(scratch) / f"{split}.conllu"
            files[split].write_text(text, encoding="utf-8")
        arguments = ["--mode", "train", "--no_pretrain", "--cpu", "--seed", str(seed)]
        arguments += ["--train_file", str(files["train"]), "--eval_file", str(files["dev"])]
        arguments += ["--save_dir", str(scratch), "--save_name", "pos.pt"]
        for name, value in options.items():
            arguments += [f"--{name}", str(value)]
        tagger.main(arguments)
        trained = Path(scratch) / "pos.pt"
        if not trained.exists():
            raise UserError("Stanza's trainer wrote no tagger. Reinstall stanza, then run again.")
        content = _without_paths(torch.load(trained, map_location="cpu", weights_only=True))
    with artifacts.atomic_write(model) as temporary:
        temporary.write_bytes(content)


def _without_paths(checkpoint: dict) -> bytes:
    """Return a Stanza checkpoint without the paths of the machine it was trained on.

    The bytes depend only on the content, so that one seed gives one SHA256.
    """
    for name in ("train_file", "eval_file", "save_dir", "data_dir", "wordvec_dir"):
        checkpoint["config"][name] = ""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


class _Steps(logging.Handler):
    """Advances a progress bar by the lines that Stanza's trainer logs: `step 50: ...`."""

    def __init__(self, bar: Any):
        super().__init__()
        self.bar, self.done = bar, 0

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.match(r"step (\d+):", record.getMessage()):
            self.bar.update(int(found[1]) - self.done)
            self.done = int(found[1])


@contextlib.contextmanager
def _quietly(handler: logging.Handler):
    """Silence Stanza except for one handler, and limit PyTorch to one thread, within the block."""
    logger = logging.getLogger("stanza")
    threads, before = torch.get_num_threads(), (logger.level, logger.handlers, logger.propagate)
    state = torch.get_rng_state(), random.getstate()
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [handler], False
    torch.set_num_threads(1)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(before[0])
        logger.handlers, logger.propagate = before[1:]
        torch.set_num_threads(threads)
        torch.set_rng_state(state[0])
        random.setstate(state[1])


def _words(sentence: ProbeSentence) -> list[dict[str, Any]]:
    """Return the words of a sentence; heads form a flat tree, which a tagger never reads."""
    return [
        {
            "id": i,
            "text": word,
            "upos": tag,
            "head": int(i > 1),
            "deprel": "dep" if i > 1 else "root",
        }
        for i, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), start=1)
    ]
