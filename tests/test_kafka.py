from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from tests import kafka_source
from tests.kafka import Broker, Existing, running_broker

pytestmark = pytest.mark.kafka


def _create(brokers: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()


def _produce(brokers: str, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=brokers, max_request_size=8 * 1024**2)
    producer.send(topic, value).get(timeout=60)
    producer.close()


def _first(brokers: str, topic: str) -> bytes:
    consumer = KafkaConsumer(topic, bootstrap_servers=brokers, group_id="reader", auto_offset_reset="earliest", consumer_timeout_ms=60_000)
    try:
        value: bytes = next(iter(consumer)).value
        return value
    finally:
        consumer.close()


@pytest.mark.long  # its slice: tests/streams/test_relay.py, where a broker comes back
@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_a_broker_that_ended_comes_back_at_the_same_address_with_its_records(own_broker: Broker, end: Callable[[Broker], None]) -> None:
    _create(own_broker.brokers, "kept")
    _produce(own_broker.brokers, "kept", b"before")
    end(own_broker)
    with pytest.raises(ConnectionRefusedError):
        _connect(own_broker.brokers)
    own_broker.start()
    assert _first(own_broker.brokers, "kept") == b"before"


def _connect(address: str) -> None:
    host, port = address.split(":")
    socket.create_connection((host, int(port)), timeout=10).close()


def test_the_shared_broker_takes_messages_of_five_megabytes(kafka_broker: Broker | Existing, kafka_prefix: str) -> None:
    value = os.urandom(5 * 1024**2)
    _create(kafka_broker.brokers, kafka_prefix)
    _produce(kafka_broker.brokers, kafka_prefix, value)
    assert _first(kafka_broker.brokers, kafka_prefix) == value


def test_a_broker_leaves_neither_process_nor_folder_behind() -> None:
    with running_broker() as broker:
        pid = broker.pid
        folder = broker.log.parent
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_broker_that_cannot_start_says_what_kafka_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"log\.retention\.ms"), running_broker(tmp_path, **{"log.retention.ms": "soon"}):
        pass


@pytest.mark.long  # its slice: every other test here runs on jars that were fetched
def test_two_runs_may_fetch_the_jars_at_once(tmp_path: Path) -> None:
    if not isinstance(kafka_source.find(), kafka_source.Jars):
        pytest.skip("KAFKA JARS MISSING: the broker here comes from elsewhere")
    code = "from tests.kafka_source import find; print(find().folder)"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        for _ in range(2)
    ]
    folders = [run.communicate(timeout=280)[0].strip() for run in runs]
    assert folders[0] == folders[1]
    assert [run.returncode for run in runs] == [0, 0]
    assert any(Path(folders[0]).glob("kafka_*.jar"))
    assert [entry.name for entry in (tmp_path / "sosie-test-kafka").iterdir()] == [Path(folders[0]).name]
