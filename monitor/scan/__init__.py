"""One post's way from its bytes to its cases; the one room that knows the order of the steps."""
