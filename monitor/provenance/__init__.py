"""What a file says of its own origin, and how far that can be believed."""
