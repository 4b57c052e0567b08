"""Whether connections leave this machine at all: so that Sosie's own network, when it is down, is not held against each post's source.

A host that cannot be reached says nothing alone: its owner may have switched it off. So the rule needs two hosts that fail in a row, with
nobody reached in between, one of them a host that answered this process before. Whoever posts addresses of dead hosts cannot bring that
about with names of their own alone, and if they do, the next connection that is made ends it.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

KEPT_HOSTS = 1000
"""Hosts that answered, the latest ones, are remembered."""


class Reach:
    """The hosts that the fetches of one process reached, and those they did not. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reached: OrderedDict[str, None] = OrderedDict()
        self._failing: OrderedDict[str, None] = OrderedDict()  # since a host was reached last

    def reached(self, host: str) -> None:
        """Note that a connection to the host was made."""
        with self._lock:
            self._failing.clear()
            self._reached[host] = None
            self._reached.move_to_end(host)
            if len(self._reached) > KEPT_HOSTS:
                self._reached.popitem(last=False)

    def failed(self, host: str) -> str | None:
        """Note that no connection to the host could be made; a host that answered before, if that looks like Sosie's own network."""
        with self._lock:
            self._failing[host] = None
            if len(self._failing) < 2:
                return None
            if len(self._failing) > KEPT_HOSTS:
                self._failing.pop(next(each for each in self._failing if each not in self._reached), None)
            return next((each for each in self._failing if each in self._reached), None)
