"""The `sosie` command. Each file here is one command; none holds a rule about videos."""

from monitor.cli.main import main

__all__ = ["main"]
