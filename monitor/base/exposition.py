"""Metrics as a scraper reads them, and the rule of who may read them.

A scraper on this machine may, unless it stands behind a proxy; others by their address (`SOSIE_METRICS_CLIENTS`) or a bearer token
(`SOSIE_METRICS_TOKEN`). Addresses are those of the connection: a request that says it was forwarded needs the token.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from monitor.base.settings import Network, Settings

CONTENT_TYPE = CONTENT_TYPE_LATEST
REFUSAL = "Metrics are for scrapers that SOSIE_METRICS_CLIENTS names, or that send the bearer token of SOSIE_METRICS_TOKEN.\n"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Exposition:
    """A registry of metrics, and the rule of who may read it. Thread-safe."""

    registry: CollectorRegistry
    clients: tuple[Network, ...] = ()
    token: bytes | None = None

    @classmethod
    def of(cls, registry: CollectorRegistry, settings: Settings) -> Exposition:
        token = settings.metrics_token
        return cls(registry, settings.metrics_clients, None if token is None else token.get_secret_value().encode())

    def admits(self, peer: str | None, headers: Mapping[str, str]) -> bool:
        """Whether this peer's request may read the metrics. `headers` are looked up in lower case; tokens are compared in constant time."""
        given = headers.get("authorization", "")
        if self.token is not None and given[: len(_BEARER)].lower() == _BEARER:
            return hmac.compare_digest(given[len(_BEARER) :].strip().encode(), self.token)
        return not any(name in headers for name in _FORWARDED) and self._known(peer)

    def text(self) -> bytes:
        """Everything the registry holds, in Prometheus's format. May ask the database: gauges do."""
        return generate_latest(self.registry)

    def _known(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self.clients)
