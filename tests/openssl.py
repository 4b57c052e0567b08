"""The program openssl: a second opinion on our signatures, and a time-stamp authority. Missing: a skip that says so, in CI a failure."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def openssl() -> str:
    """Its path."""
    found = shutil.which("openssl")
    if found is None:
        message = "OPENSSL MISSING: signatures and time-stamps are not checked against it by this run (install the package openssl)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found
