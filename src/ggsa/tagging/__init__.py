"""One part-of-speech tag per word, then one per word piece."""
