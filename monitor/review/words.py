"""Numbers and times as a reviewer reads them: filters for templates. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

RISK_WORDS = ((0.95, "very high"), (0.8, "high"), (0.5, "medium"), (0.0, "low"))


def at_time(time_s: float) -> str:
    """A place in a video: 03:07.4, or 1:03:07.4 from the first hour on."""
    tenths = round(time_s * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{tenths / 10:04.1f}"
    return f"{hours}:{text}" if hours else text


def span(start_s: float, end_s: float) -> str:
    return f"{at_time(start_s)}–{at_time(end_s)}"


def duration(seconds: float) -> str:
    """4.2 s, 3 min 20 s, 1 h 5 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that still says something."""
    seconds = max(0.0, (now - since).total_seconds())
    for limit_s, unit_s, unit in ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit_s:
            return f"{int(seconds // unit_s)} {unit}"
    return f"{int(seconds // 86400)} days"


def due(at: datetime, now: datetime) -> str:
    """When something is due: in 5 h, or 2 h late."""
    return f"in {age(now, at)}" if at >= now else f"{age(at, now)} late"


def day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def moment(value: datetime) -> str:
    """22 Nov 2026, 16:05 UTC: one zone for all, so that two reviewers speak of the same minute."""
    utc = value.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")


def risk_word(risk: float) -> str:
    return next(word for floor, word in RISK_WORDS if risk >= floor)


def percent(share: float) -> str:
    """0-100 without a sign; never rounds up to a certainty nobody has."""
    return str(min(99, round(share * 100))) if share < 1 else "100"


def signed(weight: float) -> str:
    """+2.3 or −0.5, with a real minus."""
    return f"{weight:+.1f}".replace("-", "−")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]


FILTERS: dict[str, Callable[..., Any]] = {
    "age": age,
    "at_time": at_time,
    "capitalize_first": capitalize_first,
    "count": count,
    "day": day,
    "due": due,
    "duration": duration,
    "iso": iso,
    "moment": moment,
    "percent": percent,
    "risk_word": risk_word,
    "signed": signed,
    "span": span,
}
