"""One video in, zero or more cases out."""
