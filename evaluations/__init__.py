"""Turns what candidates predict into metrics, and metrics into verdicts; trusted, out of the candidate's reach."""
