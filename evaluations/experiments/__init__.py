"""Experiments that don't lie: from what users did in each arm to promote, extend, drop or roll back.

Pure functions on numpy arrays. Nothing here knows a platform, a candidate, a clock or a random number. The unit is
the user; the last axis of an array is the cohort (the users first exposed on one day) or the look, and every function
takes any number of axes before it, so that one experiment and ten thousand run through the same code.
"""
