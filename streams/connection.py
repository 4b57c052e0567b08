"""Settings → what each Kafka client takes. The only file that reads the password.

Both clients get one TLS context, made here, so that a file that is no certificate is told before anything connects. Neither client
may log below INFO: kafka-python and aiokafka write whole requests there, SASL tokens and records included.

`ConfigError` when SOSIE_KAFKA_BROKERS is unset, or a certificate or key cannot be used. Thread-safe.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from monitor.base.errors import ConfigError
from monitor.base.settings import Settings
from streams.broker_errors import in_trouble, named
from streams.reach import trouble_reaching

C = TypeVar("C")

BOOTSTRAP_TIMEOUT_S = 10.0
_RECONNECT_AT_LATEST_S = 2.0


def require_brokers(settings: Settings) -> str:
    """The brokers of the settings, `HOST:PORT,…`. Raises `ConfigError` when none is set."""
    if settings.kafka_brokers is None:
        raise ConfigError(
            "SOSIE_KAFKA_BROKERS",
            "is not set, and this command needs Kafka; `sosie scan FILE` works without",
            "Set it to HOST:PORT,…",
        )
    return settings.kafka_brokers


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Options for KafkaProducer, KafkaConsumer and KafkaAdminClient; `connected` passes them. Printed, they hide the password."""
    return {
        "bootstrap_servers": require_brokers(settings).split(","),
        "client_id": settings.kafka_prefix,
        "bootstrap_timeout_ms": int(BOOTSTRAP_TIMEOUT_S * 1000),
        "reconnect_backoff_max_ms": int(_RECONNECT_AT_LATEST_S * 1000),  # the default of 30 s outlasts many an outage
        **_access(settings),
    }


def faust_options(settings: Settings) -> dict[str, Any]:
    """The options `broker`, `broker_client_id` and `broker_credentials` of a Faust app."""
    import faust  # slow to import, and no other command needs it

    brokers = require_brokers(settings)
    access = _access(settings)
    context = access.get("ssl_context")
    credentials: faust.SASLCredentials | faust.SSLCredentials | None = None
    if "sasl_mechanism" in access:
        credentials = faust.SASLCredentials(
            username=access["sasl_plain_username"],
            password=access["sasl_plain_password"],
            ssl_context=context,
            mechanism=access["sasl_mechanism"],
        )
    elif context is not None:
        credentials = faust.SSLCredentials(context)
    return {
        "broker": ";".join(f"kafka://{broker}" for broker in brokers.split(",")),
        "broker_client_id": settings.kafka_prefix,
        "broker_credentials": credentials,
    }


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of the settings; None where they say no TLS.

    Names are checked, and authorities are the system's unless SOSIE_KAFKA_CA says others.
    """
    if not settings.kafka_security.endswith("ssl"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "SOSIE_KAFKA_CA", f"{settings.kafka_ca} cannot be used: {error}", "Set it to a PEM file of certificates"
        ) from error
    if settings.kafka_certificate is not None:
        try:
            context.load_cert_chain(settings.kafka_certificate, settings.kafka_key, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                "SOSIE_KAFKA_CERTIFICATE",
                f"{settings.kafka_certificate} and {settings.kafka_key} cannot be used together: {error}",
                "Set them to PEM files, the key to that of the certificate and without a passphrase",
            ) from error
    return context


def connected(kind: Callable[..., C], settings: Settings, **options: Any) -> C:
    """A KafkaProducer, KafkaConsumer or KafkaAdminClient that has reached a broker. The caller closes it.

    Raises `ConfigError`; `BrokerRefused` at once, where kafka-python would offer a wrong password again and again; `BrokerUnavailable`
    after BOOTSTRAP_TIMEOUT_S and two calls by `streams.reach`. What cannot be made leaves nothing behind: by itself kafka-python leaves
    a thread running for each consumer or admin client whose broker was away.
    """
    brokers = require_brokers(settings)
    if (trouble := trouble_reaching(brokers, _access(settings))) is not None and trouble.permanent:
        raise in_trouble(brokers, trouble)
    made: list[KafkaNetClient] = []

    def client(**configuration: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**configuration))
        return made[-1]

    with kafka_errors(settings):
        try:
            return kind(**kafka_python_options(settings) | options, kafka_client=client)
        except BaseException:
            for half_made in made:
                half_made.close()
            raise


@contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """kafka-python's errors as `BrokerUnavailable` or `BrokerRefused`.

    Where the client says no more than that it waited in vain, the brokers are called once more to learn why.
    """
    try:
        yield
    except KafkaError as error:
        brokers = require_brokers(settings)
        raise named(error, brokers, lambda: trouble_reaching(brokers, _access(settings))) from error


def _access(settings: Settings) -> dict[str, Any]:
    """The options of access to a broker, by the names that kafka-python and aiokafka share."""
    _never_log_requests()
    access: dict[str, Any] = {"security_protocol": settings.kafka_security.upper()}
    if (context := tls_context(settings)) is not None:
        access["ssl_context"] = context
    if settings.kafka_security.startswith("sasl") and settings.kafka_password is not None:
        access |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": _Unprinted(settings.kafka_password.get_secret_value()),
        }
    return access


class _Unprinted(str):
    """A password among options that somebody may print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def _no_passphrase() -> str:
    return ""  # else OpenSSL asks the terminal for one


class _NothingBelowInfo(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO


_NOTHING_BELOW_INFO = _NothingBelowInfo()


def _never_log_requests() -> None:
    """Filter each logger of both clients: a filter on a package's own does not see its modules' records, and a level can be set back."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("kafka", "aiokafka"):
            logging.getLogger(name).addFilter(_NOTHING_BELOW_INFO)
