"""Topics, dead letters and a broker that is not set: every next step that is told, followed on a real Apache Kafka until it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from monitor.base import settings
from monitor.base.errors import BrokerRefused, SosieError
from streams.log import Log
from streams.publisher import Publisher, Record
from tests.kafka import Broker, Existing
from tests.monitor.cli.test_dead_letters import Desk, post
from tests.monitor.cli.test_reconcile import Yard
from tests.monitor.household import sosie
from tests.monitor.repairs import follow, mends, told, worked
from tests.streams import offsets

CREATE, LAG = "sosie topics create", "sosie topics lag"
LETTERS, ALL_LETTERS = "sosie dead-letters list", "sosie dead-letters list --state all"


@pytest.fixture
def publisher(kafka_broker: Broker | Existing, kafka_prefix: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A broker without topics."""
    monkeypatch.setenv("SOSIE_KAFKA_BROKERS", kafka_broker.brokers)
    monkeypatch.setenv("SOSIE_KAFKA_PREFIX", kafka_prefix)
    with closing(Publisher(settings.load())) as made:
        yield made


@pytest.mark.kafka
@mends(CREATE)
def test_topics_that_are_missing_are_made(publisher: Publisher, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}.videos"

    def submitting() -> str:
        try:
            publisher.publish(topic, [Record(b"k", b"v")])
        except SosieError as error:
            return str(error)
        return ""

    told(sosie("topics", "list"), CREATE)
    told(submitting(), CREATE)
    for broken in (sosie("dead-letters", "list"), sosie("topics", "lag"), sosie("reconcile")):
        assert broken.status == 1
        told(broken, CREATE)
    with closing(Log(settings.load(), "group")) as log, pytest.raises(BrokerRefused) as caught:
        log.require_topic(topic)
    worked(follow(str(caught.value), CREATE))
    assert submitting() == ""
    for mended in (sosie("dead-letters", "list"), sosie("topics", "lag"), sosie("reconcile")):
        worked(mended)


@pytest.mark.kafka
@mends(LAG, "sosie topics list")
def test_what_waits_and_what_was_lost_is_looked_up(publisher: Publisher, kafka_prefix: str) -> None:
    worked(sosie("topics", "create", "--partitions", "1"))
    yard = Yard(publisher, kafka_prefix)
    yard.submit("p1", "p2")
    assert "Total: 2 events behind" in worked(follow(sosie("reconcile"), LAG)).out
    yard.commit(0)
    offsets.delete_before(settings.load(), 0, 1)
    lost = sosie("reconcile")
    assert lost.status == 1
    lag = worked(follow(lost, LAG))
    assert "1 events were lost" in lag.out
    assert "14 days" in worked(follow(lag, "sosie topics list")).out
    yard.submit("p1")
    assert "Total: 2 events behind" in worked(sosie("topics", "lag")).out


@pytest.mark.kafka
@mends(LETTERS, ALL_LETTERS, "sosie dead-letters show ID")
def test_dead_letters_are_looked_up_shown_and_replayed(publisher: Publisher, kafka_prefix: str) -> None:
    worked(sosie("topics", "create", "--partitions", "1"))
    letter = Desk(publisher, kafka_prefix).put_aside(0, post("p1"))

    listed = worked(sosie("dead-letters", "list"))
    assert "p1" in worked(follow(listed, "sosie dead-letters show ID", ID=letter.id)).out
    assert letter.id in worked(follow(sosie("dead-letters", "show", "none"), ALL_LETTERS)).out

    replayed = worked(sosie("dead-letters", "replay", letter.id))
    none = worked(follow(replayed, LETTERS))
    assert letter.id in worked(follow(none, ALL_LETTERS)).out


@mends("sosie scan FILE")
def test_without_a_broker_a_video_is_scanned_all_the_same(furnished: Path, clips: Path) -> None:
    broken = sosie("submit", clips / "stranger.mp4")
    assert broken.status == 1
    worked(follow(broken, "sosie scan FILE", FILE=clips / "stranger.mp4"))
