"""What every room stands on: database, settings, errors, files, metrics. Knows no video and no person."""
