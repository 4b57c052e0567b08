"""Why no broker can be reached, in words: kafka-python retries until its time is up and then says only that.

Connects to each broker once, does the TLS handshake, listens for a moment, and hangs up. Sends no Kafka request and no credentials.
Takes at most CONNECT_S + LISTEN_S per broker, three brokers at most. Thread-safe.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass

CONNECT_S = 3.0
LISTEN_S = 1.0
_BROKERS_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """`reason` continues a sentence that begins with the broker."""

    broker: str
    reason: str
    next_step: str
    permanent: bool


def trouble_reaching(brokers: str, context: ssl.SSLContext | None) -> Trouble | None:
    """None when one of them can be reached. Else what is wrong, preferably what waiting does not mend."""
    found = []
    for broker in brokers.split(",")[:_BROKERS_AT_MOST]:
        if (trouble := _trouble_with(broker, context)) is None:
            return None
        found.append(trouble)
    return max(found, key=lambda trouble: trouble.permanent)


def _trouble_with(broker: str, context: ssl.SSLContext | None) -> Trouble | None:
    host, _, port = broker.rpartition(":")
    try:
        _call(host.strip("[]"), int(port), context)
    except ssl.SSLCertVerificationError as error:
        return Trouble(
            broker,
            f"shows a certificate that is not trusted: {error.verify_message}",
            "Set SOSIE_KAFKA_CA to the authorities that signed it, and SOSIE_KAFKA_BROKERS to the names that stand in it",
            permanent=True,
        )
    except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError):
        next_step = "If the broker is not just starting, set SOSIE_KAFKA_SECURITY to what this port speaks"
        return Trouble(broker, "hangs up during the TLS handshake", next_step, permanent=False)
    except ssl.SSLError as error:
        return Trouble(
            broker,
            f"refuses TLS: {error.reason or error}",
            "Check SOSIE_KAFKA_SECURITY against what this port speaks, and SOSIE_KAFKA_CERTIFICATE where the broker asks for one",
            permanent=True,
        )
    except TimeoutError:
        next_step = "Check the network and the firewalls between here and there, and SOSIE_KAFKA_BROKERS"
        return Trouble(broker, f"does not answer within {CONNECT_S:g} s", next_step, permanent=False)
    except socket.gaierror as error:
        return Trouble(broker, f"cannot be found: {error.strerror}", "Mend SOSIE_KAFKA_BROKERS, or the name service", permanent=False)
    except OSError as error:
        return Trouble(broker, f"cannot be reached: {error.strerror}", "Start the broker, or mend SOSIE_KAFKA_BROKERS", permanent=False)
    return None


def _call(host: str, port: int, context: ssl.SSLContext | None) -> None:
    with socket.create_connection((host, port), timeout=CONNECT_S) as plain:
        if context is None:
            return
        with context.wrap_socket(plain, server_hostname=host) as secured:
            secured.settimeout(LISTEN_S)  # under TLS 1.3 a broker refuses our certificate only after the handshake
            with contextlib.suppress(TimeoutError):  # it waits for a request: all is well
                if secured.recv(1) == b"":
                    raise ConnectionResetError
