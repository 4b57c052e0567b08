"""What was delivered, what is done, and how far each partition may be acknowledged: strictly in order.

Kafka keeps one number per partition, so acknowledging an event acknowledges all before it. Work ends in any order; the ledger
holds what is done back until everything before it is done. The number to commit comes from here and from nowhere else.

A partition is held from `assigned` to `revoked`. Each time it is assigned a new epoch begins: an event that was fetched, or
work that was begun, in an earlier one changes nothing in this one.

Not thread-safe: it belongs to the event loop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from streams.event import Event, Place


@dataclass(slots=True)
class Entry:
    """An event that was delivered and is not acknowledged."""

    event: Event
    epoch: int
    done: bool = False


@dataclass(slots=True)
class _Partition:
    epoch: int
    entries: OrderedDict[int, Entry] = field(default_factory=OrderedDict)
    next_offset: int | None = None  # of the event that should be delivered next; None: nothing was delivered yet
    watermark: int | None = None  # everything below is done
    committed: int | None = None  # what the broker knows of it


class Ledger:
    """The partitions held, and what is in flight on each."""

    def __init__(self) -> None:
        self._held: dict[Place, _Partition] = {}
        self._epochs = 0

    def __len__(self) -> int:
        return sum(len(partition.entries) for partition in self._held.values())

    def count(self, place: Place) -> int:
        """Events in flight on one partition; 0 when it is not held."""
        return 0 if (partition := self._held.get(place)) is None else len(partition.entries)

    def __iter__(self) -> Iterator[Event]:
        return (entry.event for partition in self._held.values() for entry in partition.entries.values())

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(self._held)

    def assigned(self, places: Iterable[Place]) -> None:
        """Hold these partitions from now on, each from its committed offset; what was held of them before is forgotten."""
        for place in places:
            self._epochs += 1
            self._held[place] = _Partition(self._epochs)

    def revoked(self, places: Iterable[Place]) -> None:
        """Hold these partitions no more: they went to somebody else, or will begin anew."""
        for place in places:
            self._held.pop(place, None)

    def epoch(self, place: Place) -> int | None:
        """Which assignment the partition is in; None when it is not held."""
        return None if (partition := self._held.get(place)) is None else partition.epoch

    def expected(self, place: Place) -> int | None:
        """The offset that should come next on a held partition; None when nothing has come yet."""
        return self._held[place].next_offset

    def is_acknowledged(self, event: Event) -> bool:
        """Whether the event lies below the watermark of its (held) partition."""
        watermark = self._held[event.place].watermark
        return watermark is not None and event.offset < watermark

    def delivered(self, event: Event) -> Entry:
        """Enter an event of a held partition that is not acknowledged.

        Offsets grow. One that does not means that the partition was read again from there: what stands at and behind it is
        forgotten, because it will be delivered again.
        """
        partition = self._held[event.place]
        while partition.entries and next(reversed(partition.entries)) >= event.offset:
            partition.entries.popitem()
        entry = partition.entries[event.offset] = Entry(event, partition.epoch)
        partition.next_offset = event.offset + 1
        return entry

    def holds(self, entry: Entry) -> bool:
        """Whether the entry still counts."""
        partition = self._held.get(entry.event.place)
        return partition is not None and partition.entries.get(entry.event.offset) is entry

    def done(self, entry: Entry) -> list[Event]:
        """Mark an entry, whose work is durable, as done.

        Returns the events that this acknowledges, in order: none, itself, or those behind it too.
        """
        entry.done = True
        if not self.holds(entry):
            return []
        partition = self._held[entry.event.place]
        acknowledged = []
        while partition.entries and (first := next(iter(partition.entries.values()))).done:
            partition.entries.popitem(last=False)
            partition.watermark = first.event.offset + 1
            acknowledged.append(first.event)
        return acknowledged

    def due(self) -> dict[Place, int]:
        """The offsets to commit: the next one to read, of each partition where that has moved."""
        return {
            place: partition.watermark
            for place, partition in self._held.items()
            if partition.watermark is not None and partition.watermark != partition.committed
        }

    def committed(self, offsets: Mapping[Place, int]) -> None:
        """Note the offsets that the broker has. Partitions that went to somebody else meanwhile are left out."""
        for place, offset in offsets.items():
            if (partition := self._held.get(place)) is not None:
                partition.committed = offset

    def oldest(self) -> Event | None:
        """The unacknowledged event that has waited longest by the broker's clock."""
        firsts = [next(iter(partition.entries.values())).event for partition in self._held.values() if partition.entries]
        return min(firsts, key=lambda event: event.timestamp_s, default=None)
