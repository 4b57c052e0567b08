from __future__ import annotations

import inspect

import pytest
from kafka import errors

from monitor.base.errors import BrokerRefused, BrokerUnavailable
from streams.broker_errors import named
from streams.reach import Trouble

BROKERS = "one.example:9092"
_ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.KafkaError)]


def _instance(kind: type[errors.KafkaError]) -> errors.KafkaError:
    return kind({}) if kind is errors.LogTruncationError else kind()


@pytest.mark.parametrize("kind", _ALL)
def test_every_error_of_the_client_gets_a_name_and_the_brokers(kind: type[errors.KafkaError]) -> None:
    error = named(_instance(kind), BROKERS)
    assert isinstance(error, BrokerUnavailable | BrokerRefused)
    assert BROKERS in str(error)


@pytest.mark.parametrize("kind", [kind for kind in _ALL if kind.retriable])
def test_what_the_client_would_retry_is_waited_for_except_for_a_topic_that_does_not_exist(kind: type[errors.KafkaError]) -> None:
    missing = (errors.UnknownTopicOrPartitionError, errors.UnknownTopicIdError)
    assert isinstance(named(_instance(kind), BROKERS), BrokerRefused if issubclass(kind, missing) else BrokerUnavailable)


@pytest.mark.parametrize(
    ("kind", "next_step"),
    [
        (errors.UnknownTopicOrPartitionError, "sosie topics create"),
        (errors.SaslAuthenticationFailedError, "SOSIE_KAFKA_PASSWORD"),
        (errors.TopicAuthorizationFailedError, "access rules"),
        (errors.GroupAuthorizationFailedError, "access rules"),
        (errors.MessageSizeTooLargeError, "will fail again"),
        (errors.InvalidReplicationFactorError, "will fail again"),
    ],
)
def test_what_will_not_change_says_what_to_do(kind: type[errors.KafkaError], next_step: str) -> None:
    error = named(kind(), BROKERS)
    assert isinstance(error, BrokerRefused)
    assert next_step in error.next_step


@pytest.mark.parametrize("kind", [errors.UnknownError, errors.RebalanceInProgressError, errors.for_code(4711)])
def test_what_passes_is_waited_for_though_the_client_would_not_retry(kind: type[errors.KafkaError]) -> None:
    assert isinstance(named(kind(), BROKERS), BrokerUnavailable)


def test_what_a_broker_says_of_credentials_is_not_repeated() -> None:
    assert "hunter2" not in str(named(errors.SaslAuthenticationFailedError("hunter2 is wrong"), BROKERS))


@pytest.mark.parametrize("permanent", [True, False])
def test_the_trouble_found_decides_where_the_client_only_waited(permanent: bool) -> None:
    trouble = Trouble(BROKERS, "is on fire", "Call somebody", permanent)
    error = named(errors.KafkaTimeoutError("Unable to bootstrap"), BROKERS, lambda: trouble)
    assert isinstance(error, BrokerRefused if permanent else BrokerUnavailable)
    assert str(error) == f"Kafka at {BROKERS}: {BROKERS} is on fire. Call somebody."


def test_nobody_looks_for_trouble_when_the_broker_has_answered() -> None:
    looked = []

    def look() -> Trouble | None:
        looked.append(True)
        return None

    assert isinstance(named(errors.MessageSizeTooLargeError(), BROKERS, look), BrokerRefused)
    assert looked == []
