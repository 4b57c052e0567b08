"""Signals and matches in, a risk and its reasons out. Pure functions."""
