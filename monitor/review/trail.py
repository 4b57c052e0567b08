"""A case's audit events and verdicts as sentences, for templates. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from monitor.base.audit import AuditEvent
from monitor.review import words
from monitor.review.vocabulary import Verdict, clauses


def verdict_label(value: str) -> str:
    return Verdict(value).label


def told(event: AuditEvent) -> str:
    """One event as a sentence; one this page does not know is shown by its code rather than hidden."""
    say = _SENTENCES.get(event.action)
    return say(event.actor, event.detail) if say else f"{event.actor}: {event.action}"


def _opened(actor: str, detail: dict[str, Any]) -> str:
    return f"Opened by {actor} at risk {words.percent(detail['risk'])}."


def _joined(actor: str, detail: dict[str, Any]) -> str:
    covered = f"; the verdict covers it: {verdict_label(detail['verdict'])}" if detail.get("verdict") else ""
    return f"Another post of the video was added by {actor}, at risk {words.percent(detail['risk'])}{covered}."


def _flag_lost(actor: str, detail: dict[str, Any]) -> str:
    now = "this person is not found in it" if detail["risk"] is None else f"its risk is {words.percent(detail['risk'])}"
    return f"Post {detail['post']} is not flagged any more, as {actor} found: {now}."


def _claimed(actor: str, detail: dict[str, Any]) -> str:
    return f"Claimed by {actor} until {datetime.fromisoformat(detail['until']):%H:%M} UTC."


def _released(actor: str, detail: dict[str, Any]) -> str:
    return f"Released by {actor}."


def _decided(actor: str, detail: dict[str, Any]) -> str:
    return f"Decided by {actor}: {verdict_label(detail['verdict'])}."


def _reopened(actor: str, detail: dict[str, Any]) -> str:
    return f"Reopened by {actor}{comeback(detail)}; the verdict was {verdict_label(detail['verdict'])}."


def comeback(detail: dict[str, Any]) -> str:
    """Why a case came back without anybody's word, after a colon; nothing for one that a reviewer reopened."""
    match detail.get("cause"):
        case "post":
            return f": a later post is unlike those decided on: {clauses(detail.get('differs', ()))}"
        case "reassessed":
            return f": one of its posts was assessed anew: {clauses(detail.get('differs', ()))}"
    return ""


def _packed(actor: str, detail: dict[str, Any]) -> str:
    return f"An evidence pack for a {detail['for'].replace('-', ' ')} was made by {actor}."


_SENTENCES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "case.opened": _opened,
    "case.joined": _joined,
    "case.claimed": _claimed,
    "case.released": _released,
    "case.decided": _decided,
    "case.reopened": _reopened,
    "case.flag_lost": _flag_lost,
    "evidence.packed": _packed,
}

FILTERS: dict[str, Callable[..., Any]] = {"told": told, "verdict_label": verdict_label}
