"""TLS, SASL and what goes wrong with them, against a real broker."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    NewTopic,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.structs import TopicPartition

from monitor.base.errors import BrokerRefused, BrokerUnavailable, ConfigError
from monitor.base.settings import Settings, load
from streams import connection
from streams.connection import connected, faust_options, kafka_errors, kafka_python_options, require_brokers
from tests.kafka import Broker, running_broker, skipping_loudly
from tests.streams.authority import Authority, Credentials

USER, PASSWORD = "sosie-service", "correct-horse-battery"
WRONG = "wrong-staple-battery"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
TOPIC, FORBIDDEN = "allowed", "forbidden"


@dataclass(frozen=True)
class Secured:
    """A broker with a SASL_SSL listener, and one that asks for certificates."""

    broker: Broker
    authority: Authority
    client: Credentials
    home: Path

    def sasl(self, mechanism: str = "PLAIN", **settings: str) -> Settings:
        given = {"kafka_security": "sasl_ssl", "kafka_mechanism": mechanism, "kafka_username": USER, "kafka_password": PASSWORD}
        return self._settings("SASL", given | settings)

    def mutual(self, **settings: str) -> Settings:
        given = {"kafka_certificate": str(self.client.certificate), "kafka_key": str(self.client.key)}
        return self._settings("MUTUAL", given | settings)

    def without_certificate(self) -> Settings:
        return self._settings("MUTUAL", {})

    def _settings(self, listener: str, settings: Mapping[str, str]) -> Settings:
        given = {"kafka_brokers": self.broker.address(listener), "kafka_security": "ssl", "kafka_ca": str(self.authority.file)}
        return load({}, home=self.home, **given | dict(settings))


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up as ever, only sooner."""
    monkeypatch.setattr(connection, "BOOTSTRAP_TIMEOUT_S", 3.0)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "certificates", "authority")
    sasl = "listener.name.sasl"
    jaas = "org.apache.kafka.common.security"
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.issue("broker").both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        f"{sasl}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"{sasl}.plain.sasl.jaas.config": f'{jaas}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        f"{sasl}.scram-sha-256.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        f"{sasl}.scram-sha-512.sasl.jaas.config": f"{jaas}.scram.ScramLoginModule required;",
        "listener.name.mutual.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:ANONYMOUS",
    }
    listeners = {"SASL": "SASL_SSL", "MUTUAL": "SSL"}
    with skipping_loudly(), running_broker(folder / "broker", listeners=listeners, **properties) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.brokers)
        admin.create_topics([NewTopic(TOPIC, 1, 1), NewTopic(FORBIDDEN, 1, 1)])
        _only_others_may_write(admin, FORBIDDEN)
        _add_scram_users(admin)
        admin.close()
        yield Secured(broker, authority, authority.issue("client"), folder / "home")


def _only_others_may_write(admin: KafkaAdminClient, topic: str) -> None:
    somebody_else = ACL("User:else", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, topic))
    assert admin.create_acls([somebody_else])["failed"] == []


def _add_scram_users(admin: KafkaAdminClient) -> None:
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one by one: a user may be altered once per request
        assert admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, PASSWORD)]) == {USER: None}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """As logged by somebody who wants to know it all."""
    before = {name: logging.getLogger(name).level for name in ("kafka", "aiokafka", "kafka.net.connection", "aiokafka.conn")}
    caplog.set_level(logging.DEBUG)
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def _shown(caplog: pytest.LogCaptureFixture, *others: object) -> str:
    return "\n".join([caplog.text, *(str(record.__dict__) for record in caplog.records), *map(str, others)])


WAYS_IN = [*MECHANISMS, "certificate"]


def _settings(secured: Secured, way: str) -> Settings:
    return secured.mutual() if way == "certificate" else secured.sasl(way)


@pytest.mark.kafka
@pytest.mark.parametrize("way", WAYS_IN)
def test_kafka_python_gets_in_and_says_no_password(secured: Secured, way: str, everything_logged: pytest.LogCaptureFixture) -> None:
    settings = _settings(secured, way)
    admin = connected(KafkaAdminClient, settings)
    assert TOPIC in admin.list_topics()
    admin.close()
    producer = connected(KafkaProducer, settings)
    sent = producer.send(TOPIC, way.encode()).get(timeout=30)
    producer.close()
    consumer = connected(KafkaConsumer, settings, consumer_timeout_ms=30_000)
    partition = TopicPartition(TOPIC, sent.partition)
    consumer.assign([partition])
    consumer.seek(partition, sent.offset)
    assert next(iter(consumer)).value == way.encode()
    consumer.close()
    assert any(record.name.startswith("kafka") for record in everything_logged.records), "nothing was logged, so nothing was tested"
    assert PASSWORD not in _shown(everything_logged, kafka_python_options(settings))


@pytest.mark.kafka
@pytest.mark.parametrize("way", WAYS_IN)
def test_aiokafka_gets_in_with_what_faust_passes_it(secured: Secured, way: str, everything_logged: pytest.LogCaptureFixture) -> None:
    settings = _settings(secured, way)
    options = faust_options(settings)
    conf = faust.App("connection", **options, store="memory://", web_enabled=False).conf
    assert [(url.host, url.port) for url in conf.broker] == [("127.0.0.1", int(settings.kafka_brokers.split(":")[1]))]
    passed = credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context)
    assert asyncio.run(_round_trip(settings.kafka_brokers, passed, way.encode())) == way.encode()
    assert any(record.name.startswith("aiokafka") for record in everything_logged.records), "nothing was logged, so nothing was tested"
    assert PASSWORD not in _shown(everything_logged, options)


async def _round_trip(brokers: str, passed: Mapping[str, Any], value: bytes) -> bytes:
    async with AIOKafkaProducer(bootstrap_servers=brokers, **passed) as producer:
        sent = await producer.send_and_wait(TOPIC, value)
    async with AIOKafkaConsumer(bootstrap_servers=brokers, **passed) as consumer:
        partition = TopicPartition(TOPIC, sent.partition)
        consumer.assign([partition])
        consumer.seek(partition, sent.offset)
        received: bytes = (await consumer.getone()).value
        return received


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaProducer, KafkaConsumer])
def test_a_wrong_password_is_refused_and_shown_nowhere(
    secured: Secured, mechanism: str, kind: type, everything_logged: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BrokerRefused) as caught:
        connected(kind, secured.sasl(mechanism, kafka_password=WRONG))
    assert "SOSIE_KAFKA_PASSWORD" in caught.value.next_step
    told = "".join(traceback.format_exception(caught.value))
    assert WRONG not in _shown(everything_logged, repr(caught.value), told)


@pytest.mark.kafka
def test_a_password_that_became_wrong_is_found_out_though_the_client_only_waits(secured: Secured) -> None:
    settings = secured.sasl(kafka_password=WRONG)
    with pytest.raises(BrokerRefused, match="SOSIE_KAFKA_PASSWORD"), kafka_errors(settings):
        KafkaProducer(**kafka_python_options(settings))


@pytest.mark.kafka
def test_a_mechanism_the_broker_does_not_offer_is_refused(secured: Secured) -> None:
    settings = secured.sasl("PLAIN").model_copy(update={"kafka_mechanism": "GSSAPI-NOT"})
    with pytest.raises(BrokerRefused, match="SOSIE_KAFKA_MECHANISM"):
        connected(KafkaAdminClient, settings)


@pytest.mark.kafka
@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaProducer, KafkaConsumer])
def test_a_broker_of_another_authority_is_refused_with_the_setting_to_mend(secured: Secured, kind: type, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(BrokerRefused, match="not trusted: unable to get local issuer certificate") as caught:
        connected(kind, secured.sasl(kafka_ca=str(stranger.file)))
    assert "SOSIE_KAFKA_CA" in caught.value.next_step
    assert secured.broker.address("SASL") in str(caught.value)


@pytest.mark.kafka
def test_a_broker_by_a_name_that_is_not_in_its_certificate_is_refused(secured: Secured) -> None:
    port = secured.broker.address("SASL").split(":")[1]
    with pytest.raises(BrokerRefused, match="not trusted: Hostname mismatch"):
        connected(KafkaAdminClient, secured.sasl(kafka_brokers=f"localhost:{port}"))


@pytest.mark.kafka
def test_a_broker_that_asks_for_a_certificate_and_gets_none_refuses(secured: Secured) -> None:
    with pytest.raises(BrokerRefused, match="refuses TLS") as caught:
        connected(KafkaAdminClient, secured.without_certificate())
    assert "SOSIE_KAFKA_CERTIFICATE" in caught.value.next_step


@pytest.mark.kafka
def test_a_client_of_another_authority_is_refused(secured: Secured, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "stranger").issue("client")
    with pytest.raises(BrokerRefused, match="refuses TLS") as caught:
        connected(KafkaAdminClient, secured.mutual(kafka_certificate=str(strange.certificate), kafka_key=str(strange.key)))
    assert "SOSIE_KAFKA_CERTIFICATE" in caught.value.next_step


@pytest.mark.kafka
@pytest.mark.parametrize(("speaks", "port_of"), [("plaintext", "SASL"), ("ssl", "PLAINTEXT")])
def test_speaking_the_wrong_protocol_to_a_port_names_the_setting(secured: Secured, speaks: str, port_of: str) -> None:
    settings = secured.sasl(kafka_security=speaks, kafka_brokers=secured.broker.address(port_of))
    with pytest.raises((BrokerUnavailable, BrokerRefused), match="SOSIE_KAFKA_SECURITY"):
        connected(KafkaAdminClient, settings)


@pytest.mark.kafka
def test_what_the_broker_does_not_allow_is_refused(secured: Secured) -> None:
    settings = secured.sasl()
    producer = connected(KafkaProducer, settings)
    with pytest.raises(BrokerRefused, match="does not allow this"), kafka_errors(settings):
        producer.send(FORBIDDEN, b"x").get(timeout=30)
    producer.close()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaProducer, KafkaConsumer])
def test_a_broker_that_is_away_is_told_in_bounded_time_and_leaves_no_thread(tmp_path: Path, kind: type) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        settings = load({}, home=tmp_path, kafka_brokers=f"127.0.0.1:{taken.getsockname()[1]}")
        before = set(threading.enumerate())
        with pytest.raises(BrokerUnavailable, match="cannot be reached: Connection refused"):
            connected(kind, settings)
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def test_a_broker_whose_name_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"kafka\.invalid:9092 cannot be found"):
        connected(KafkaAdminClient, load({}, home=tmp_path, kafka_brokers="kafka.invalid:9092"))


@pytest.mark.parametrize(
    "use", [require_brokers, kafka_python_options, faust_options, lambda settings: connected(KafkaAdminClient, settings)]
)
def test_without_brokers_the_setting_is_named_and_what_works_without(tmp_path: Path, use: Callable[[Settings], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        use(load({}, home=tmp_path))
    assert caught.value.thing == "SOSIE_KAFKA_BROKERS"
    assert "`sosie scan FILE`" in caught.value.reason
    assert "HOST:PORT" in caught.value.next_step


def _tls(tmp_path: Path, **settings: str) -> Settings:
    return load({}, home=tmp_path, kafka_brokers="127.0.0.1:9092", kafka_security="ssl", **settings)


@pytest.mark.parametrize("options", [kafka_python_options, faust_options])
def test_an_authority_file_that_holds_no_certificate_is_named(tmp_path: Path, options: Callable[[Settings], object]) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca\.pem") as caught:
        options(_tls(tmp_path, kafka_ca=str(tmp_path / "ca.pem")))
    assert caught.value.thing == "SOSIE_KAFKA_CA"


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    with pytest.raises(ConfigError, match="mismatch") as caught:
        kafka_python_options(_tls(tmp_path, kafka_certificate=str(ours.certificate), kafka_key=str(theirs.key)))
    assert caught.value.thing == "SOSIE_KAFKA_CERTIFICATE"


def test_a_key_behind_a_passphrase_is_an_error_and_no_question(tmp_path: Path) -> None:
    locked = Authority(tmp_path, "authority").issue("ours", passphrase=b"sesame")
    with pytest.raises(ConfigError, match="without a passphrase"):
        kafka_python_options(_tls(tmp_path, kafka_certificate=str(locked.certificate), kafka_key=str(locked.key)))


def test_several_brokers_reach_both_clients(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path, kafka_brokers="one.example:9092, two.example:9093")
    assert kafka_python_options(settings)["bootstrap_servers"] == ["one.example:9092", "two.example:9093"]
    conf = faust.App("connection", **faust_options(settings), store="memory://", web_enabled=False).conf
    assert [(url.host, url.port) for url in conf.broker] == [("one.example", 9092), ("two.example", 9093)]
    assert conf.broker_credentials is None
