"""The dead letters topic as a box: the latest message of an id is how that dead letter stands.

- `replay` publishes the event's own bytes to the topic it stood on, with its identity and its attempts in headers, and marks the
  letter afterwards. A crash in between leaves it waiting although it was replayed: replaying it again is harmless, as results are
  idempotent.
- A replay may fail, and be put aside again, before it is marked. Attempts only grow, so a mark with fewer attempts than were known
  is late, and does not hide the letter that came before it; such a letter is written once more, because compaction keeps the last.
- What a letter says of its origin was written by a worker, but a header that the worker believed came from outside: only
  Sosie's own videos topic is ever published to.

Raises `NotFound`, `RequestRefused`, and what reading and publishing raise. Safe beside workers and other operators.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from monitor.base.errors import MessageRefused, NotFound, RequestRefused
from monitor.base.settings import Settings
from streams.event import ATTEMPTS_HEADER, ORIGIN_HEADER, Event
from streams.messages import DeadLetter, parse
from streams.publisher import Publisher, Record
from streams.reading import read_topic
from streams.topics import DEAD_LETTERS, VIDEOS

_log = logging.getLogger(__name__)
_BATCH = 100


def read_box(settings: Settings) -> dict[str, DeadLetter]:
    """Every dead letter as it stands, by id, in order of `at`. A message that cannot be read is told in the log and left out."""
    found = standing(read_topic(settings, DEAD_LETTERS.name(settings.kafka_prefix)))
    return dict(sorted(found.items(), key=lambda item: item[1].at))


def standing(events: Iterable[Event]) -> dict[str, DeadLetter]:
    """The dead letters that the messages of the topic, in their order, amount to, by id."""
    found: dict[str, DeadLetter] = {}
    for event in events:
        if event.value is None and event.key is not None:  # Kafka's way to delete; compaction will do the same
            found.pop(event.key.decode("utf-8", "replace"), None)
            continue
        try:
            letter = parse(DeadLetter, event.value)
        except MessageRefused as error:
            _log.warning("%s is no dead letter: %s", event, error)
            continue
        known = found.get(letter.id)
        if letter.state == "waiting" or known is None or letter.attempts >= known.attempts:
            found[letter.id] = letter
    return found


def chosen(box: Mapping[str, DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    """The letters of these ids. Raises `NotFound` for the first that there is not."""
    for each in ids:
        if each not in box:
            raise NotFound(f"Dead letter {each}", "does not exist", "`sosie dead-letters list --state all` shows those there are")
    return [box[each] for each in dict.fromkeys(ids)]


def replay(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], *, force: bool = False) -> list[DeadLetter]:
    """Have the events handled again; returns those that were sent, which leaves out what was replayed before.

    Refused as a whole where one of them cannot be. `force` replays replayed and discarded ones too.
    """
    topic = VIDEOS.name(settings.kafka_prefix)
    letters = [letter for letter in letters if letter.state != "replayed" or force]
    for letter in letters:
        _require_replayable(letter, topic, force)
    for start in range(0, len(letters), _BATCH):
        batch = letters[start : start + _BATCH]
        publisher.publish(topic, [_original(letter) for letter in batch])
        _mark(settings, publisher, batch, "replayed", None)
    if letters:
        _keep_newer(settings, publisher, letters)
    return letters


def discard(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], *, why: str, force: bool = False) -> list[DeadLetter]:
    """Discard letters: nothing more will be done about them; returns those discarded now, not those discarded before.

    `force` discards replayed ones too. Raises `RequestRefused` without a reason.
    """
    if not (why := why.strip()):
        raise RequestRefused("Discarding", "needs a reason", "Say in a sentence why nothing is to be done: --why TEXT")
    letters = [letter for letter in letters if letter.state != "discarded"]
    for letter in letters:
        if letter.state == "replayed" and not force:
            raise RequestRefused(f"Dead letter {letter.id}", "was replayed, and may be at work now", "Wait for it, or use --force")
    _mark(settings, publisher, letters, "discarded", why.encode("utf-8", "replace").decode()[:1000])
    return letters


def _require_replayable(letter: DeadLetter, topic: str, force: bool) -> None:
    if letter.origin.topic != topic:
        raise RequestRefused(f"Dead letter {letter.id}", f"does not come from {topic}", "It cannot be replayed; discard it")
    if letter.truncated:
        raise RequestRefused(
            f"Dead letter {letter.id}",
            "keeps only the beginning of an event too long to be one of ours",
            f"Look at partition {letter.origin.partition}, offset {letter.origin.offset} of {topic}, or discard it",
        )
    if letter.key is None and letter.value is None:
        raise RequestRefused(
            f"Dead letter {letter.id}", "is of an empty event, without key and value", "There is nothing to replay; discard it"
        )
    if letter.state == "discarded" and not force:
        raise RequestRefused(f"Dead letter {letter.id}", f"was discarded ({letter.note})", "Use --force to replay it all the same")


def _original(letter: DeadLetter) -> Record:
    headers = {ORIGIN_HEADER: letter.id.encode(), ATTEMPTS_HEADER: str(letter.attempts).encode()}
    return Record(key=_bytes(letter.key), value=content(letter), headers=headers)


def content(letter: DeadLetter) -> bytes | None:
    """The event's own bytes, or as many as were kept; None for null."""
    return _bytes(letter.value)


def _bytes(base64_text: str | None) -> bytes | None:
    return None if base64_text is None else base64.b64decode(base64_text)  # that it is base64 was checked when it was read


def _keep_newer(settings: Settings, publisher: Publisher, marked: Sequence[DeadLetter]) -> None:
    box = read_box(settings)
    newer = [box[letter.id] for letter in marked if letter.id in box and box[letter.id].attempts > letter.attempts]
    _write(settings, publisher, [letter for letter in newer if letter.state == "waiting"])


def _mark(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter], state: str, note: str | None) -> None:
    now = datetime.now(UTC)
    _write(settings, publisher, [letter.model_copy(update={"state": state, "note": note, "at": now}) for letter in letters])


def _write(settings: Settings, publisher: Publisher, letters: Sequence[DeadLetter]) -> None:
    if letters:
        publisher.publish(
            DEAD_LETTERS.name(settings.kafka_prefix), [Record(key=letter.id.encode(), value=letter.to_bytes()) for letter in letters]
        )
