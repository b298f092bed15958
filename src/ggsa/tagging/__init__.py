"""One part-of-speech tag per word, then one per word piece."""

from ggsa._lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "TaggedPieces": "alignment",
        "align": "alignment",
        "tags_of_texts": "texts",
        "words_of_texts": "texts",
    },
)
