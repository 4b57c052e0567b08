"""`python -m bench.provenance`: what the check of provenance costs, beside plain SHA-256 of the same bytes in the same run.

Compared is CPU time of this process, with files read from the page cache on both sides. SHA-256 is hashlib's over 1 MiB at a time: what
hashing a file costs whoever must read it anyway. The check is the whole of `monitor.provenance.check.check`: manifest, hashes,
signature, trust, history and metadata, under one trust list and under three (the list that vouches is then looked for).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.footage import Footage  # noqa: F401 - placeholder
