"""What a figure was measured on and with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("torch", "open-clip-torch", "facenet-pytorch", "opencv-python-headless", "av", "faiss-cpu", "pillow", "numpy")


def cpu() -> str:
    """The processor's own name where the kernel tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {package: metadata.version(package) for package in _PACKAGES}


def load() -> float:
    """How many processes wanted a core in the last minute; others' work makes figures worse, and noisier."""
    return os.getloadavg()[0]
