"""What was submitted, beside what became of it: does every event have its result or its dead letter?

Every record of the videos topic, from the earliest that retention has left, is exactly one of:

| it is       | when |
|---|---|
| done        | its post has a result in the database, whatever its dead letter says: a replay may have worked |
| dead        | it has a dead letter, by the place where it first stood: of a try of this record, not of one before its replay |
| waiting     | it is not committed yet, so nothing is due |
| **missing** | none of these: it was acknowledged, and nothing came of it. This must never happen |

**Doubled** is what exists twice where there may be one of it. `reconcile` is pure; `reconcile_all` reads the log once, keeps ids
alone, and asks the database in batches. Changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.base.database import Store
from monitor.base.errors import MessageRefused
from monitor.base.settings import Settings
from monitor.review import reconciliation
from streams.dead_letter_box import read_box
from streams.dead_letters import attempts_before, origin_of
from streams.lag import lag
from streams.messages import DeadLetter, VideoPosted, parse
from streams.reading import read_topic
from streams.topics import VIDEOS


@dataclass(frozen=True, slots=True)
class Submitted:
    """One record of the videos topic. `post_id` is None where it does not parse; `origin` is where the event first stood.

    `tried_before`: of a replay, how often its event was tried before.
    """

    partition: int
    offset: int
    post_id: str | None
    origin: str
    tried_before: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found. Counts are of records, `posts` of different post ids. `resolved` are dead letters that wait although
    their post has a result.

    `never_submitted` are wanted posts of which there is nothing: no event, no result, no dead letter.
    """

    events: int
    posts: int
    done: int
    dead: Mapping[str, int]
    waiting: int
    missing: tuple[Submitted, ...]
    doubled: tuple[str, ...]
    resolved: tuple[str, ...]
    lost: int
    never_submitted: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is missing, doubled, lost or never submitted."""
        return not (self.missing or self.doubled or self.lost or self.never_submitted)


@dataclass
class _Tally:
    done: int = 0
    waiting: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    missing: list[Submitted] = field(default_factory=list)
    resolved: set[str] = field(default_factory=set)


def reconcile(
    submitted: Iterable[Submitted],
    *,
    results: Collection[str],
    letters: Mapping[str, DeadLetter],
    committed: Mapping[int, int],
    doubled: Iterable[str] = (),
    lost: int = 0,
    wanted: Iterable[str] = (),
) -> Report:
    """Compare what was submitted with what became of it. `committed`: the next offset to read of each partition; `wanted`: post ids that
    somebody says were submitted."""
    tally, posts, events = _Tally(), set[str](), 0
    for each in submitted:
        events += 1
        letter = letters.get(each.origin)
        if each.post_id is not None:
            posts.add(each.post_id)
        if each.post_id in results:
            tally.done += 1
            if letter is not None and letter.state == "waiting":
                tally.resolved.add(letter.id)
        elif letter is not None and _is_answer(letter, each):
            tally.dead[letter.reason] += 1
        elif each.offset >= committed.get(each.partition, 0):
            tally.waiting += 1
        else:
            tally.missing.append(each)
    came = posts.union(results, (letter.post_id for letter in letters.values() if letter.post_id is not None))
    never = tuple(sorted({post for post in wanted if post not in came}))  # retention may have taken an event, not what came of it
    return Report(
        events=events,
        posts=len(posts),
        done=tally.done,
        dead=dict(tally.dead),
        waiting=tally.waiting,
        missing=tuple(tally.missing),
        doubled=tuple(doubled),
        resolved=tuple(sorted(tally.resolved)),
        lost=lost,
        never_submitted=never,
    )


def _is_answer(letter: DeadLetter, to: Submitted) -> bool:
    return letter.attempts > to.tried_before or letter.state == "discarded"


def reconcile_all(settings: Settings, store: Store, *, since: datetime | None = None, wanted: Iterable[str] = ()) -> Report:
    """Read the log, the dead letters and the database. Raises `BrokerUnavailable`, `BrokerRefused`, and what the store raises.

    Committed offsets are read first and results last: what is acknowledged was durable before, so nothing that goes on meanwhile
    looks missing.
    """
    wanted = set(wanted)
    partitions = lag(settings)
    submitted = list(_submitted(settings, since))
    letters = read_box(settings)
    with store.session(read_only=True) as session:
        posts = {each.post_id for each in submitted if each.post_id is not None}
        results = reconciliation.recorded(session, posts.union(wanted))
        doubled = reconciliation.doubled(session)
    return reconcile(
        submitted,
        results=results,
        letters=letters,
        committed={each.partition: each.start for each in partitions},
        doubled=doubled,
        lost=sum(each.lost for each in partitions),
        wanted=wanted,
    )


def _submitted(settings: Settings, since: datetime | None) -> Iterator[Submitted]:
    for event in read_topic(settings, VIDEOS.name(settings.kafka_prefix), since=since):
        try:
            post_id = parse(VideoPosted, event.value).id
        except MessageRefused:
            post_id = None
        yield Submitted(event.place.partition, event.offset, post_id, origin_of(event).id, attempts_before(event))
