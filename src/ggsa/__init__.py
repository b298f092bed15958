"""Grammatically-guided sparse attention, replicated: corpus, tags, rules, model, measurement."""
