"""The dead letters topic as a box: the latest message of an id is how that dead letter stands.

- `replay` publishes the event's own bytes to the topic it stood on, with its identity and its attempts in headers, and marks the
  letter afterwards. A crash in between leaves it waiting although it was replayed: replaying it again is harmless, as results are
  idempotent.
- What a letter says of its origin was written by a worker, but a header that the worker believed came from outside: only
  Sosie's own videos topic is ever published to.

Raises `NotFound`, `RequestRefused`, and what reading and publishing raise. Safe beside workers and other operators.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from monitor.errors import MessageRefused, NotFound, RequestRefused
from monitor.settings import Settings
from streams.event import ATTEMPTS_HEADER, ORIGIN_HEADER
from streams.messages import DeadLetter, parse
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from streams.topics import DEAD_LETTERS, VIDEOS

_log = logging.getLogger(__name__)


def read_box(settings: Settings) -> dict[str, DeadLetter]:
    """Every dead letter as it stands, by id, oldest first. A message that cannot be read is told in the log and left out."""
    found: dict[str, DeadLetter] = {}
    for event in read_topic(settings, DEAD_LETTERS.name(settings.kafka_prefix)):
        try:
            letter = parse(DeadLetter, event.value)
        except MessageRefused as error:
            _log.warning("%s is no dead letter: %s", event, error)
            continue
        found[letter.id] = letter
    return found


def chosen(box: Mapping[str, DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    """The letters of these ids. Raises `NotFound` for the first that there is not."""
    for each in ids:
        if each not in box:
            raise NotFound(f"Dead letter {each}", "does not exist", "`sosie dead-letters list --state all` shows those there are")
    return [box[each] for each in dict.fromkeys(ids)]


def replay(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], *, force: bool = False) -> None:
    """Have the events handled again. Refused as a whole where one of them cannot be; `force` replays discarded ones too."""
    topic = VIDEOS.name(settings.kafka_prefix)
    letters = [letter for letter in letters if letter.state != "replayed" or force]
    for letter in letters:
        _require_replayable(letter, topic, force)
    publisher.publish(topic, [_original(letter) for letter in letters])
    _mark(settings, publisher, letters, "replayed", None)


def discard(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], *, why: str, force: bool = False) -> None:
    """Say that nothing more will be done about them. `force` discards replayed ones too. Raises `RequestRefused` without a reason."""
    if not (why := why.strip()):
        raise RequestRefused("Discarding", "needs a reason", "Say in a sentence why nothing is to be done: --why TEXT")
    letters = [letter for letter in letters if letter.state != "discarded"]
    for letter in letters:
        if letter.state == "replayed" and not force:
            raise RequestRefused(f"Dead letter {letter.id}", "was replayed, and may be at work now", "Wait for it, or use --force")
    _mark(settings, publisher, letters, "discarded", why[:1000])


def _require_replayable(letter: DeadLetter, topic: str, force: bool) -> None:
    if letter.origin.topic != topic:
        raise RequestRefused(f"Dead letter {letter.id}", f"does not come from {topic}", "It cannot be replayed; discard it")
    if letter.truncated:
        raise RequestRefused(
            f"Dead letter {letter.id}",
            "keeps only the beginning of an event too long to be one of ours",
            f"Look at partition {letter.origin.partition}, offset {letter.origin.offset} of {topic}, or discard it",
        )
    if letter.state == "discarded" and not force:
        raise RequestRefused(f"Dead letter {letter.id}", f"was discarded ({letter.note})", "Use --force to replay it all the same")


def _original(letter: DeadLetter) -> Record:
    headers = {ORIGIN_HEADER: letter.id.encode(), ATTEMPTS_HEADER: str(letter.attempts).encode()}
    return Record(key=_bytes(letter, letter.key), value=_bytes(letter, letter.value), headers=headers)


def content(letter: DeadLetter) -> bytes | None:
    """The event's own bytes, or as many as were kept; None for null."""
    return _bytes(letter, letter.value)


def _bytes(letter: DeadLetter, text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestRefused(f"Dead letter {letter.id}", "its content is not base64", "It was not written by Sosie; discard it") from None


def _mark(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], state: str, note: str | None) -> None:
    now = datetime.now(UTC)
    marked = [letter.model_copy(update={"state": state, "note": note, "at": now}) for letter in letters]
    records = [Record(key=letter.id.encode(), value=letter.to_bytes()) for letter in marked]
    if records:
        publisher.publish(DEAD_LETTERS.name(settings.kafka_prefix), records)
