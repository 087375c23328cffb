"""Proposes kernels: typed generators, a selection policy, one operator steered by knowledge cards, and an end."""
