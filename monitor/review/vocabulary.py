"""The words of a verdict: what reviewers find, and wherein two uses of a likeness differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """The reviewer's finding; `label` is how a page says it."""

    DEEPFAKE = "deepfake"
    MANIPULATED = "manipulated"
    OTHER_AI = "other_ai"
    AUTHENTIC = "authentic"
    ARCHIVE = "archive"
    LICENSED = "licensed"
    PARODY = "parody"
    NEWS = "news"
    NOT_THIS_PERSON = "not_this_person"
    INCONCLUSIVE = "inconclusive"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def is_about_use(self) -> bool:
        """Whether the verdict speaks of how a post uses the likeness.

        Every other one speaks of the content, which all posts of the bytes share.
        """
        return self in _ABOUT_USE


_LABELS = {
    Verdict.DEEPFAKE: "Deepfake",
    Verdict.MANIPULATED: "Manipulated",
    Verdict.OTHER_AI: "Other AI content",
    Verdict.AUTHENTIC: "Authentic",
    Verdict.ARCHIVE: "Archive footage",
    Verdict.LICENSED: "Licensed",
    Verdict.PARODY: "Parody or satire",
    Verdict.NEWS: "News",
    Verdict.NOT_THIS_PERSON: "Not this person",
    Verdict.INCONCLUSIVE: "Inconclusive",
}

_ABOUT_USE = frozenset({Verdict.LICENSED, Verdict.PARODY, Verdict.NEWS, Verdict.INCONCLUSIVE})


class Difference(StrEnum):
    """Wherein one post's use of a likeness may differ from another's; `risk` is its class (`monitor.review.words.risk_word`)."""

    ACCOUNT = "account"
    PLATFORM = "platform"
    PURPOSE = "purpose"
    TERRITORY = "territory"
    CONSENT = "consent"
    RISK = "risk"


_CLAUSES = {
    Difference.ACCOUNT: "another account posted it",
    Difference.PLATFORM: "it is on another platform",
    Difference.PURPOSE: "it is for another purpose",
    Difference.TERRITORY: "it is shown in another territory",
    Difference.CONSENT: "other consents bear on it",
    Difference.RISK: "its risk is of another class",
}


def clauses(differs: Iterable[str]) -> str:
    """The differences as words: "another account posted it, and its risk is of another class". One of a later release is its own word."""
    said = [_CLAUSES[Difference(each)] if each in set(Difference) else str(each) for each in differs]
    return ", and ".join(said) or "it is not what the verdict was given on"
