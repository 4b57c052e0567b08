"""Programs for whoever works on Sosie; no part of what is installed."""
