"""From a failure to the message that keeps it: pure.

A dead letter's identity is the place where its event first stood. An event that fails again after a replay updates its dead
letter and makes no second one; its attempts add up.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime

from streams.event import ATTEMPTS_HEADER, ORIGIN_HEADER, Event
from streams.failures import Failure
from streams.messages import DeadLetter, Origin

KEPT_BYTES = 256 * 1024
"""An event up to this is kept whole. None that could ever have succeeded is longer (`streams.messages.MAX_BYTES`)."""

HEAD_BYTES = 4 * 1024
"""So much is kept of a longer one."""

_ORIGIN = re.compile(rb"([A-Za-z0-9._-]{1,249}):([0-9]{1,10}):([0-9]{1,19})")
_POST_ID = re.compile(r"[A-Za-z0-9._:~-]{1,200}")
_MAX_ATTEMPTS = 1_000_000


def origin_of(event: Event) -> Origin:
    """Where the event first stood: what its header says, if it is a replay; else where it stands.

    Events are replayed to the topic they stood on, so a header that names another is none of ours.
    """
    place = _ORIGIN.fullmatch(event.headers.get(ORIGIN_HEADER, b""))
    if place is not None and place[1].decode() == event.place.topic:
        return Origin(topic=event.place.topic, partition=int(place[2]), offset=int(place[3]))
    return Origin(topic=event.place.topic, partition=event.place.partition, offset=event.offset, timestamp=_instant(event.timestamp_s))


def attempts_before(event: Event) -> int:
    """How often the event was tried before its replay; 0 for one that was never replayed."""
    text = event.headers.get(ATTEMPTS_HEADER, b"")
    return min(int(text), _MAX_ATTEMPTS) if text.isdigit() and len(text) < 10 else 0


def dead_letter(failure: Failure) -> DeadLetter:
    """The dead letter of a failure. Of an event too long for it only the head is kept, and it says so."""
    event = failure.event
    origin = origin_of(event)
    value = event.value or b""
    truncated = len(value) > KEPT_BYTES or len(event.key or b"") > HEAD_BYTES
    return DeadLetter(
        id=origin.id,
        origin=origin,
        reason=failure.code,
        error=failure.text[:4000],
        attempts=attempts_before(event) + failure.attempts,
        at=failure.at,
        post_id=_post_id(value) if not truncated else None,
        key=None if event.key is None else _base64(event.key[:HEAD_BYTES]),
        value=None if event.value is None else _base64(value[: HEAD_BYTES if truncated else KEPT_BYTES]),
        truncated=truncated,
    )


def _instant(timestamp_s: float) -> datetime | None:
    """The instant of a time stamp, None for what is no time: producers choose it, and may choose 64 bits at random."""
    try:
        return datetime.fromtimestamp(timestamp_s, UTC) if timestamp_s >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _post_id(value: bytes) -> str | None:
    """The post an event speaks of, where it can be told."""
    try:
        found = json.loads(value).get("id")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and _POST_ID.fullmatch(found) else None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
