"""How the paper's released code spends its time, written anew: the peer of our training loop.

What is kept of it (Section "what the released code does" of the replication's notes): the tagger
runs again on every batch of every epoch; batches are drawn at random and padded to their longest
sentence; every layer builds its mask anew by Python loops over sentences, queries and keys; the
optimizer is not fused. What is ours: the same tagger as our pipeline, so that no tagger's speed is
compared, and sentences that are cut into pieces once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout, softmax
from transformers import AttentionInterface, PreTrainedModel

from ggsa.tagging import alignment
from ggsa.tagging.tagger import tag_sentences
from ggsa.workspace.vocabulary import CLS

NAME = "naive"
BLOCKED = -10000.0
PADDING_TAG = "[PAD]"

Words = Sequence[str]
Table = Mapping[str, Sequence[str]]


class Naive:
    """A model that is trained the naive way, one batch at a time."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any,
        tagger: Any,
        table: Table | None,
        favor: float = 0.0,
        pad_to: int | None = None,
    ) -> None:
        """Prepare a model.

        Args:
            model: Built with `attn_implementation="naive"`.
            tokenizer: Of the model.
            tagger: Stanza's pipeline; used only where a table needs tags.
            table: Key tags of every query tag; None for full attention.
            favor: What a pair of the table gets: 0 blocks the others, more favors it.
            pad_to: Length to pad every batch to; None for its longest sentence.
        """
        self.model, self.tokenizer, self.tagger = model.train(), tokenizer, tagger
        self.table, self.favor, self.pad_to = table, favor, pad_to
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)

    def step(self, sentences: Sequence[Words], labels: Tensor) -> None:
        """Tag a batch, build its masks and change the weights."""
        encoded = self.tokenizer(
            [list(words) for words in sentences],
            is_split_into_words=True,
            truncation=True,
            max_length=128,
            padding="max_length" if self.pad_to else True,
            return_tensors="pt",
        )
        extra: dict[str, Any] = {}
        if self.table is not None:
            tags = tag_sentences(self.tagger, [tuple(words) for words in sentences])
            extra["piece_tags"] = [self._piece_tags(encoded, i, row) for i, row in enumerate(tags)]
            extra["naive_table"], extra["favor"] = self.table, self.favor
        output = self.model(
            input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], **extra
        )
        cross_entropy(output.logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _piece_tags(self, encoded: Any, row: int, tags: Sequence[str]) -> list[str]:
        words = encoded.word_ids(row)
        real = int(encoded["attention_mask"][row].sum())
        found = alignment.piece_tags(words[:real], tags)
        return found + [PADDING_TAG] * (len(words) - real)


def mask_by_loops(piece_tags: Sequence[Sequence[str]], table: Table, favor: float) -> Tensor:
    """Return what is added to every score, `[batch, 1, query, key]`, entry by entry."""
    batch, length = len(piece_tags), len(piece_tags[0])
    bias = torch.zeros(batch, 1, length, length)
    for sentence in range(batch):
        tags = piece_tags[sentence]
        for query in range(length):
            for key in range(length):
                allowed = (
                    tags[query] == tags[key]
                    or tags[query] == CLS
                    or tags[key] in table.get(tags[query], ())
                )
                if favor:
                    if allowed:
                        bias[sentence, 0, query, key] = favor
                elif not allowed:
                    bias[sentence, 0, query, key] = BLOCKED
    return bias


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    piece_tags: Any = None,
    naive_table: Table | None = None,
    favor: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Return attention's output, as transformers calls it; builds the mask anew in every layer."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    if naive_table is not None:
        scores = scores + mask_by_loops(piece_tags, naive_table, favor)
    weights = dropout(softmax(scores, -1), options.get("dropout", 0.0), module.training)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attention)
