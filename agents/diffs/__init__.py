"""Diffs in a model's answer: what was meant, applied to a tree or refused in words that the model can act on."""
