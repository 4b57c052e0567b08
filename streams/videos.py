"""What a `sosie.video_posted` event is for: one scan by `monitor.scan.pipeline`, the same that `sosie scan` makes.

Idempotent: a post that was scanned from this address before is done, whatever became of the address since; its result
stands. Durable when it returns, because the pipeline is.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from monitor.intake.local import allowed_source
from monitor.scan.result import Posted, ScanResult
from streams.event import Event
from streams.messages import VideoPosted, parse


class Scanner(Protocol):
    """The part of `monitor.scan.pipeline.Pipeline` that is needed here."""

    def scan(self, posted: Posted) -> ScanResult: ...

    def has_scanned(self, posted: Posted) -> bool: ...


class VideoHandler:
    """Scans in `slots` threads, so that the event loop stays free. Close it after the last event."""

    def __init__(self, scanner: Scanner, *, slots: int, files: Path | None) -> None:
        self._scanner = scanner
        self._files = files
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="sosie-slot")

    async def __call__(self, event: Event) -> bool:
        """Scan the post of an event; say whether there was something to do.

        Raises `MessageRefused`, `FetchRefused`, and whatever the pipeline raises.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._scan, event.value)

    def _scan(self, value: bytes | None) -> bool:
        message = parse(VideoPosted, value)
        posted = Posted(
            source=allowed_source(message.uri, self._files),
            id=message.id,
            platform=message.platform,
            account=message.account,
            posted_at=message.posted_at,
            caption=message.caption,
            views=message.views,
            purpose=message.purpose,
            territory=message.territory,
        )
        if self._scanner.has_scanned(posted):
            return False
        self._scanner.scan(posted)
        return True

    def close(self) -> None:
        """Begin no further scan; those that run are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
