"""A run played again from its journal and git alone: step by step, measured anew, or as another run.

Knows no sandbox, model or metric: what measures comes in as a Protocol.
"""
