"""Vectors in, neighbours out. Knows no videos, no people, no database."""
