"""A real Kafka broker (KRaft, one node) for tests, the fault suite and the benchmarks; never a mock.

Comes from SOSIE_TEST_KAFKA=HOST:PORT (a running one, for the shared fixture), else Java 17 and Maven, else Docker (`kafka_source.py`).
With none of them its tests skip and say so; where `CI` is set that is a failure. Listens on loopback, keeps everything in a temporary
folder, is stopped by its pid and leaves nothing behind.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests import kafka_source
from tests.kafka_source import KafkaMissing
from tests.keeper import shared_address
from tests.once import run_folder

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
MAX_MESSAGE_BYTES = 8 * 1024**2
_CLUSTER = "c29zaWUtdGVzdC1rYWZrYQ"
_PORTS = range(20_000, 32_000)  # below the ephemeral ports: a client that retries against a stopped broker must not get its port

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "message.max.bytes": str(MAX_MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
    "socket.request.max.bytes": str(4 * MAX_MESSAGE_BYTES),
    "log.segment.bytes": str(2 * MAX_MESSAGE_BYTES),  # a batch must fit into a segment
    "log.index.size.max.bytes": str(128 * 1024),
    "broker.session.timeout.ms": "4000",  # after a kill the next start waits for the old session to end
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024**2),
    "num.network.threads": "2",
    "num.io.threads": "4",
}


@dataclass(frozen=True)
class Existing:
    """A broker that somebody else runs: the run's keeper, or whoever set SOSIE_TEST_KAFKA."""

    brokers: str


class Broker:
    """One broker, its ports and its data, for any number of starts.

    `brokers` is the address of its plaintext listener, `log` what it prints. `listeners` names further ones with their protocol
    (`{"SASL": "SASL_SSL"}`); `address` says where they are. Not thread-safe.
    """

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None, listeners: Mapping[str, str] | None = None) -> None:
        """Starts nothing. Raises `KafkaMissing`."""
        self._source = kafka_source.find()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._name = kafka_source.new_name()
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"} | dict(listeners or {})
        self._ports = dict(zip(protocols, _free_ports(len(protocols)), strict=True))
        self.brokers = self.address("PLAINTEXT")
        self.log = folder / "broker.log"
        self._config = folder / "server.properties"
        clients = [name for name in protocols if name != "CONTROLLER"]
        configured = {
            **_SETTINGS,
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": ",".join(
                f"{name}://{self._source.bind if name in clients else '127.0.0.1'}:{port}" for name, port in self._ports.items()
            ),
            "advertised.listeners": ",".join(f"{name}://{self.address(name)}" for name in clients),
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "log.dirs": str(folder / "data"),
            **(properties or {}),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text("".join(f"{key}={value}\n" for key, value in configured.items()))

    def address(self, listener: str) -> str:
        """HOST:PORT of a listener."""
        return f"127.0.0.1:{self._ports[listener]}"

    @property
    def pid(self) -> int:
        """Of the running broker (with Docker: of its client)."""
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers. On the data and the ports of the last time, if there was one."""
        assert self._process is None, "the broker is running"
        with self.log.open("ab") as log:
            if not (self._folder / "data" / "meta.properties").exists():
                command = [*self._source.format(self._folder), "format", "--cluster-id", _CLUSTER, "--config", str(self._config)]
                if subprocess.run(command, check=False, stdout=log, stderr=log, cwd=self._folder).returncode != 0:
                    raise self._did_not_start()
            command = [*self._source.serve(self._folder, self._name), str(self._config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder)
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """As an operator stops it: SIGTERM, and SIGKILL if that does not help. Nothing when it is not running."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """As a power cut stops it: SIGKILL. Nothing when it is not running."""
        if self._process is not None:
            self._source.kill(self._process, self._name)
            self._process.wait()
            self._process = None

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise self._did_not_start()
            time.sleep(0.1)

    def _did_not_start(self) -> RuntimeError:
        return RuntimeError(f"Kafka did not start: {self.log.read_text(errors='replace')[-4000:]}")

    def _answers(self) -> bool:
        from kafka import KafkaAdminClient  # slow to import, and every test run loads this file
        from kafka.errors import KafkaError

        try:
            socket.create_connection(("127.0.0.1", self._ports["PLAINTEXT"]), timeout=1).close()
            admin = KafkaAdminClient(bootstrap_servers=self.brokers, request_timeout_ms=5000, bootstrap_timeout_ms=5000)
        except (OSError, KafkaError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()


def _free_ports(count: int) -> list[int]:
    """Different ones; held while they are looked for, so that no two are the same."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.append(candidate)
            try:
                candidate.bind(("127.0.0.1", random.SystemRandom().choice(_PORTS)))
            except OSError:
                held.pop().close()
        return [candidate.getsockname()[1] for candidate in held]
    finally:
        for candidate in held:
            candidate.close()


@contextmanager
def running_broker(folder: Path | None = None, *, listeners: Mapping[str, str] | None = None, **properties: str) -> Iterator[Broker]:
    """A started broker, stopped at the end. `properties` are Kafka's (`**{"log.retention.ms": "1000"}`).

    Its files lie in `folder` and stay there, or in a temporary one that goes. Raises `KafkaMissing`.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="sosie-kafka-"))
    try:
        broker = Broker(place, properties, listeners)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
    finally:
        if folder is None:
            shutil.rmtree(place)


@contextmanager
def skipping_loudly() -> Iterator[None]:
    """`KafkaMissing` becomes a skip that says so, and where `CI` is set a failure."""
    try:
        yield
    except KafkaMissing as missing:
        reason = f"KAFKA MISSING: {missing}; set SOSIE_TEST_KAFKA=HOST:PORT, or install Java 17 and Maven; Kafka is not covered by this run"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Existing:
    """The one broker that all tests of a run share, each under its own `kafka_prefix`. It must stay up."""
    if existing := os.environ.get("SOSIE_TEST_KAFKA"):
        return Existing(existing)
    with skipping_loudly():
        kafka_source.find()
    return Existing(shared_address(run_folder(tmp_path_factory), "kafka"))


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """A broker of the test's own, which may stop, kill and start it."""
    with skipping_loudly(), running_broker() as broker:
        yield broker


@pytest.fixture
def kafka_prefix(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the test's topics and groups, so that tests do not see one another on the shared broker.

    What this process publishes there may take as long as a busy machine needs; a test of a broker that is away has an `own_broker`.
    """
    if "own_broker" not in request.fixturenames:
        import streams.relay  # noqa: F401 -- it reckons with the true limit

        monkeypatch.setattr("streams.publisher.TIMEOUT_S", 120.0)
    return f"test-{uuid4().hex[:12]}"
