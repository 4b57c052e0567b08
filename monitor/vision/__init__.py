"""Frames, faces and vectors from decoded pixels."""
