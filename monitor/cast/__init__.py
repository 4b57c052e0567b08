"""The fictional cast: people nobody is, drawn from a seed, for the demo and the tests."""
