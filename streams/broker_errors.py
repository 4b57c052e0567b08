"""What kafka-python's errors mean for Sosie: wait (`BrokerUnavailable`), or tell somebody (`BrokerRefused`).

Pure, but for the question why no broker was reached. What a broker says about credentials is never repeated.
"""

from __future__ import annotations

from collections.abc import Callable

from kafka import errors

from monitor.base.errors import BrokerRefused, BrokerUnavailable, SosieError
from streams.reach import Trouble

_CREDENTIALS = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.SecurityDisabledError,
)
_NO_SUCH_TOPIC = (errors.UnknownTopicOrPartitionError, errors.UnknownTopicIdError, errors.InvalidTopicError)
_UNREACHED = (
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.MetadataEmptyBrokerList,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
)
# Kafka calls these not retriable because the same request would fail again; a new client, or a moment later, does not.
_PASSING = (
    errors.UnknownError,
    errors.BrokerNotAvailableError,
    errors.StaleControllerEpochError,
    errors.StaleBrokerEpochError,
    errors.CommitFailedError,
    errors.IllegalGenerationError,
    errors.UnknownMemberIdError,
    errors.RebalanceInProgressError,
    errors.MemberIdRequiredError,
    errors.OutOfOrderSequenceNumberError,
    errors.UnknownProducerIdError,
    errors.InvalidProducerEpochError,
    errors.UnknownBrokerIdError,
    errors.KafkaProtocolError,
)
_SAID_AT_MOST = 300


def named(error: errors.KafkaError, brokers: str, trouble: Callable[[], Trouble | None] = lambda: None) -> SosieError:
    """The error to raise instead of kafka-python's. `trouble` is asked only when no broker answered, or not in time."""
    kafka = f"Kafka at {brokers}"
    if isinstance(error, _CREDENTIALS):
        return BrokerRefused(
            kafka,
            f"refuses our credentials ({type(error).__name__})",
            "Check SOSIE_KAFKA_USERNAME, SOSIE_KAFKA_PASSWORD and SOSIE_KAFKA_MECHANISM against the broker's users",
        )
    if isinstance(error, errors.AuthorizationError):
        return BrokerRefused(kafka, f"knows us, but does not allow this: {_said(error)}", "Have the broker's access rules allow it")
    if isinstance(error, _NO_SUCH_TOPIC):
        return BrokerRefused(kafka, f"has no such topic: {_said(error)}", "Run `sosie topics create`, or mend SOSIE_KAFKA_PREFIX")
    if isinstance(error, _UNREACHED):
        if (found := trouble()) is not None:
            return in_trouble(brokers, found)
        next_step = "Try again; if it stays so, check SOSIE_KAFKA_SECURITY, and look at the broker's log"
        return BrokerUnavailable(kafka, f"did not answer in time: {_said(error)}", next_step)
    if isinstance(error, errors.CorruptRecordError):
        return unreadable(kafka, _said(error))
    if error.retriable or isinstance(error, _PASSING):
        return BrokerUnavailable(kafka, f"cannot do this now: {_said(error)}", "Try again; if it stays so, look at the broker's log")
    return BrokerRefused(kafka, f"refuses this: {_said(error)}", "Look at the broker's log and settings; the same request will fail again")


def unreadable(thing: str, said: str) -> BrokerRefused:
    """The error to raise for a record that stops the client itself, such as one with a header whose name is not UTF-8.

    It has no dead letter, because its client hands out nothing of it, nor of what stands behind it in the same batch.
    """
    return BrokerRefused(
        thing,
        f"holds a record that Kafka's clients for Python cannot read ({said})",
        "Nothing is lost, and nothing passes it. See where the group stands (`sosie topics lag`), look at the record with Kafka's own "
        "tools, delete it with all before it on its partition (kafka-delete-records.sh), and start the workers again",
    )


def in_trouble(brokers: str, trouble: Trouble) -> SosieError:
    """The error to raise for what was found by calling the brokers."""
    kind = BrokerRefused if trouble.permanent else BrokerUnavailable
    return kind(f"Kafka at {brokers}", f"{trouble.broker} {trouble.reason}", trouble.next_step)


def _said(error: errors.KafkaError) -> str:
    text = str(error)
    return text if len(text) <= _SAID_AT_MOST else f"{text[:_SAID_AT_MOST]}…"
