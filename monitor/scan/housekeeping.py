"""Hourly housekeeping in every worker and console: fingerprints of days that are over, and snapshots that hold somebody removed, are
destroyed.

Either happens without it too, at the next write or search; this is for a process that has nothing to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from monitor.base.errors import SosieError
from monitor.registry.erasure import erase_removed
from monitor.scan.workshop import Workshop

_EVERY_S = 3600.0
_log = logging.getLogger(__name__)


def keep_house(workshop: Workshop) -> None:
    """Destroy what is due, once. Safe to repeat, and while others do the same. Raises what the storage and the database raise."""
    workshop.kept_fingerprints.expire()
    erase_removed(workshop.blobs, workshop.store)


@contextmanager
def house_kept(workshop: Workshop, work: Callable[[Workshop], None] = keep_house, *, every_s: float = _EVERY_S) -> Iterator[None]:
    """While the block runs, a thread keeps house; what fails is logged and tried again the next time."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            try:
                work(workshop)
            except SosieError as error:
                _log.warning("housekeeping: %s", error)
            except Exception:  # noqa: BLE001 - whatever it is, the next time may go better
                _log.exception("housekeeping failed; it is tried again")

    thread = threading.Thread(target=run, name="sosie-housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
