"""The `sosie` command. Each file here is one command; none holds a rule about videos."""

import os

# Read by OpenMP when torch is loaded. Threads that spin while they wait starve the decoding processes beside them: on two
# busy cores the demo took 268 s with the default, 81 s without.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from monitor.cli.main import main

__all__ = ["main"]
