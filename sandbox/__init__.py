"""Runs one candidate under limits and says whose fault a failure was."""
