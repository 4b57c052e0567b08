"""Why no broker lets us in, in words.

kafka-python cannot say: while it makes a client it tries again after every failure, wrong passwords included, until its time is up,
and it loses what a broker says right before hanging up. So each broker is called once more here, by aiokafka, which hears it out:
connect, TLS, versions, credentials, and good-bye. Nothing is asked, nothing is changed.

Takes at most ANSWER_S for each step of each of three brokers. Thread-safe, and may be called while an event loop runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.conn import create_conn

ANSWER_S = 3.0
_BROKERS_AT_MOST = 3
_CLOSE_S = 1.0
_CREDENTIALS = (errors.SaslAuthenticationFailed, errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a broker does not let us in. `reason` continues a sentence that begins with the broker."""

    broker: str
    reason: str
    next_step: str
    permanent: bool


def trouble_reaching(brokers: str, access: Mapping[str, Any]) -> Trouble | None:
    """What keeps every broker from letting us in, preferably what waiting does not mend; None when one broker lets us in.

    `access`: `security_protocol`, and where it needs them `ssl_context` and `sasl_*`, by names that both clients share.
    """
    first = None
    with ThreadPoolExecutor(1, thread_name_prefix="sosie-reach") as thread:
        for broker in brokers.split(",")[:_BROKERS_AT_MOST]:
            trouble = thread.submit(asyncio.run, _trouble_with(broker, access)).result()
            if trouble is None or trouble.permanent:
                return trouble
            first = first or trouble
    return first


async def _trouble_with(broker: str, access: Mapping[str, Any]) -> Trouble | None:
    host, _, port = broker.rpartition(":")
    try:
        connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=int(ANSWER_S * 1000), **access)
    except (errors.KafkaError, OSError, EOFError, TimeoutError) as error:
        return _in_words(broker, _cause(error))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.close(), _CLOSE_S)
    return None


def _cause(error: BaseException) -> BaseException:
    """The cause of an error that aiokafka wrapped: a TLS alert, an end of file."""
    while isinstance(error, errors.KafkaConnectionError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _in_words(broker: str, error: BaseException) -> Trouble:
    if isinstance(error, _CREDENTIALS):
        return Trouble(
            broker,
            f"refuses our credentials ({type(error).__name__})",  # what it says besides is not repeated
            "Check SOSIE_KAFKA_USERNAME, SOSIE_KAFKA_PASSWORD and SOSIE_KAFKA_MECHANISM against the broker's users",
            permanent=True,
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            broker,
            f"shows a certificate that is not trusted: {error.verify_message}",
            "Set SOSIE_KAFKA_CA to the authorities that signed it, and SOSIE_KAFKA_BROKERS to the names that stand in it",
            permanent=True,
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return Trouble(
            broker,
            f"refuses TLS: {error.reason or error}",
            "Check SOSIE_KAFKA_SECURITY against what this port speaks, and SOSIE_KAFKA_CERTIFICATE where the broker asks for one",
            permanent=True,
        )
    if isinstance(error, TimeoutError):
        next_step = "Check the network and the firewalls between here and there, and SOSIE_KAFKA_BROKERS"
        return Trouble(broker, f"does not answer within {ANSWER_S:g} s", next_step, permanent=False)
    if isinstance(error, socket.gaierror):
        return Trouble(broker, f"cannot be found: {error.strerror}", "Mend SOSIE_KAFKA_BROKERS, or the name service", permanent=False)
    if isinstance(error, OSError) and not isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        said = os.strerror(error.errno) if error.errno else str(error)
        return Trouble(broker, f"cannot be reached: {said}", "Start the broker, or mend SOSIE_KAFKA_BROKERS", permanent=False)
    next_step = "If it is not just starting or stopping, set SOSIE_KAFKA_SECURITY to what this port speaks"
    return Trouble(broker, "hangs up on us", next_step, permanent=False)
