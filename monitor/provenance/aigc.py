"""China's implicit label for generated content (GB 45438-2025, annex E): a JSON object under the name `AIGC`. Pure.

`Label` is 1 for content that is generated, 2 for content that may be, 3 for content a platform suspects to be. The object
stands as the metadata key `AIGC` of an MP4, in XMP as the property `AIGC` of the standard's own namespace, in PNG text, or inside
another comment as {"AIGC": {…}}. Nobody signs it.
"""

from __future__ import annotations

import json
from typing import Any

from monitor.provenance.types import AI

__all__ = ["KEY", "MAX_CHARS", "label"]

KEY = "AIGC"
MAX_CHARS = 16 * 1024

_MEANING = {"1": AI.FULLY, "2": AI.MAY, "3": AI.MAY}


def label(text: str) -> AI | None:
    """The declaration in a label; None where the text is no such label."""
    if len(text) > MAX_CHARS:
        return None
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict) and isinstance(found.get(KEY), dict):
        found = found[KEY]
    if not isinstance(found, dict) or "Label" not in found:
        return None
    said = found["Label"]
    return _MEANING.get(str(said), AI.UNKNOWN) if isinstance(said, str | int) and not isinstance(said, bool) else None
