"""Likenesses, their references, and the consents their holders granted."""
