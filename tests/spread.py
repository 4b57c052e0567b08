"""The order of the tests: heavy ones evenly between the modules of the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], heavy: Callable[[Item], bool], module: Callable[[Item], object]) -> list[Item]:
    """All items; the light ones in their order and their modules whole, since a module's fixtures end with it.

    Few heavy ones meet, while light ones fill the time that they wait; and none stands at the end, where only one process would still
    be at work.
    """
    waiting = deque(item for item in items if heavy(item))
    modules = [list(each) for _, each in groupby((item for item in items if not heavy(item)), module)]
    count = len(waiting)
    ordered: list[Item] = []
    for number, each in enumerate(modules):
        while count - len(waiting) < (number + 1) * count / len(modules):
            ordered.append(waiting.popleft())
        ordered += each
    return [*waiting, *ordered]
