"""A network backend for httpcore that connects only to vetted addresses and never outlives a deadline.

The name is resolved once, judged, and the connection made to the very address that was judged, so a second
DNS answer has no say (DNS rebinding). Host header, TLS server name and certificate check keep the name.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from monitor.intake.addresses import Resolver, vet

STALL_S = 10.0
"""No single connect, read or write may take longer."""


class GuardedBackend(httpcore.NetworkBackend):
    """One fetch's connections. `deadline` is a time of `time.monotonic()`; `source` names the URL in errors."""

    def __init__(self, *, source: str, deadline: float, allow_private: bool, resolver: Resolver) -> None:
        self._source = source
        self._deadline = deadline
        self._allow_private = allow_private
        self._resolver = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises BlockedAddress or FetchFailed before any packet is sent, else httpcore's errors.
        """
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError("no address")
        for address in vet(host, port, allow_private=self._allow_private, resolver=self._resolver, source=self._source):
            left = _left(self._deadline, httpcore.ConnectTimeout)
            try:
                stream = self._sockets.connect_tcp(str(address), port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline, headers that drip in byte by byte included."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, past: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise past("deadline")
    return min(left, STALL_S)
