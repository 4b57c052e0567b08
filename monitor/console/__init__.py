"""The reviewers' pages and the JSON API."""
