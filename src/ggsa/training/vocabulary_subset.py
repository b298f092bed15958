"""Train with the word pieces that occur, and give back the whole vocabulary.

Gradients, clipping and the optimizer touch every row of the embedding table at every step, read or
not; on a CPU that is a third of the time. Rows that no sentence of the corpus reads have no
gradient, so leaving them out of training changes nothing but those rows themselves.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ggsa.tagging.splits import Split


class VocabularySubset:
    """The word pieces that occur in some sentences, numbered from 0."""

    def __init__(
        self, arrays: Iterable[np.ndarray], padding: int, others: Iterable[int] = ()
    ) -> None:
        """Collect the pieces.

        Args:
            arrays: Piece ids, `[piece]`, which together are all that the model will see.
            padding: Id of the padding piece.
            others: Ids that no sentence holds but training needs.
        """
        distinct = [*map(np.unique, arrays), np.array([padding, *others])]
        occurring = np.unique(np.concatenate(distinct))
        self.pieces = torch.from_numpy(occurring)  # [subset]: the whole vocabulary's ids
        self._padding = int(np.searchsorted(occurring, padding))

    def renumber(self, pieces: np.ndarray) -> np.ndarray:
        """Return piece ids in the numbering of the subset."""
        return np.searchsorted(self.pieces.numpy(), pieces)

    def renumber_split(self, split: Split) -> Split:
        """Return a split with its piece ids in the numbering of the subset."""
        pieces = split.sentences.pieces.map(self.renumber)
        return replace(split, sentences=replace(split.sentences, pieces=pieces))

    def shrink(self, model: PreTrainedModel) -> Tensor:
        """Leave only the subset's rows in the model's input embeddings; return the whole table."""
        table = model.get_input_embeddings().weight.detach().clone()
        self._replace(model, table[self.pieces.to(table.device)], self._padding)
        return table

    def restore(self, model: PreTrainedModel, table: Tensor, padding: int) -> None:
        """Put the trained rows back into the whole table, and the table into the model."""
        trained = model.get_input_embeddings().weight.detach()
        table[self.pieces.to(table.device)] = trained
        self._replace(model, table, padding)

    @staticmethod
    def _replace(model: PreTrainedModel, table: Tensor, padding: int) -> None:
        model.set_input_embeddings(
            torch.nn.Embedding.from_pretrained(table.clone(), freeze=False, padding_idx=padding)
        )
