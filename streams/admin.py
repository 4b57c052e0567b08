"""The topics as the brokers have them, beside the table of `streams.topics`: make what is missing, tell what differs.

Idempotent, and safe to run by two at once: a topic that somebody else made meanwhile is one that exists. Either all missing topics
can be made or none is. What exists is changed only when asked (`alter`), and then never so that records are lost at once or the
order of a key breaks: retention and cleanup are set, partitions are added where the table allows it, replication is left alone.

All functions raise `ConfigError`, `BrokerUnavailable`, `BrokerRefused`. Thread-safe: each call has a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidPartitionsError, InvalidReplicationFactorError, TopicAlreadyExistsError, for_code

from monitor.base.errors import BrokerRefused, SosieError
from monitor.base.settings import Settings
from streams.broker_errors import named
from streams.connection import connected, kafka_errors, require_brokers
from streams.topics import TOPICS, VIDEOS, Topic

_ASKED = ("cleanup.policy", "retention.ms", "retention.bytes")
_NO_SUCH_TOPIC = 3
_HEARD_S = 5.0


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic of the table as the brokers have it. One that does not exist has no partitions; `config` lacks what they do not tell."""

    topic: Topic
    name: str
    partitions: int = 0
    replication: int = 0
    config: Mapping[str, str] | None = None

    @property
    def exists(self) -> bool:
        return self.partitions > 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the table says, in a sentence, and what to do about it."""

    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `create_topics` did about a topic. `state` is that after it, `changes` say what was altered."""

    state: TopicState
    action: Literal["created", "exists", "altered"]
    changes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()


def list_topics(settings: Settings) -> list[TopicState]:
    """Every topic of the table, those that do not exist as well."""
    with closing(connected(KafkaAdminClient, settings)) as admin, kafka_errors(settings):
        return _states(admin, settings, TOPICS)


def create_topics(
    settings: Settings, *, partitions: int | None = None, replication: int | None = None, alter: bool = False
) -> list[Outcome]:
    """Make the topics that are missing. `partitions` is for the videos topic, `replication` for all; by default the table's."""
    wanted = [_as_wanted(topic, partitions, replication) for topic in TOPICS]
    with closing(connected(KafkaAdminClient, settings)) as admin, kafka_errors(settings):
        before = _states(admin, settings, wanted)
        missing = [state for state in before if not state.exists]
        made = _create(admin, settings, missing) if missing else set()
        changes = {state.name: _alter(admin, settings, state) for state in before if state.exists and alter}
        outcomes = []
        for state in _settled(admin, settings, wanted, changes):
            changed = changes.get(state.name, ())
            action: Literal["created", "exists", "altered"] = "created" if state.name in made else "altered" if changed else "exists"
            outcomes.append(Outcome(state, action, changed, differences(state)))
        return outcomes


def differences(state: TopicState) -> tuple[Difference, ...]:
    """The differences of an existing topic from the table. More partitions than the table asks for are no fault."""
    found = []
    topic, config = state.topic, state.config or {}
    if state.partitions < topic.partitions:
        what = f"has {state.partitions} partitions, {topic.partitions} are wanted"
        found.append(Difference(what, _ADD if topic.grows else _DO_NOT_ADD))
    if topic.replication not in (-1, state.replication):
        found.append(Difference(f"has replication {state.replication}, {topic.replication} is wanted", _REASSIGN))
    for key, value in topic.config.items():
        if key not in config:
            found.append(Difference(f"does not tell its {key}", "Allow DESCRIBE_CONFIGS on it, or check by yourself that it is " + value))
        elif not _same(config[key], value):
            found.append(Difference(f"has {key} {config[key]}, {value} is wanted", _SET))
    return tuple(found)


_ADD = "Add partitions with --alter; keys then move, so a post that is submitted again may be worked on beside its first self"
_DO_NOT_ADD = "Leave it, it works with fewer; adding partitions would break the order of its keys. To have more, drain and delete it first"
_REASSIGN = "Move replicas with Kafka's own kafka-reassign-partitions; Sosie does not"
_SET = "Set it with --alter, or leave it so if you mean it"


def _as_wanted(topic: Topic, partitions: int | None, replication: int | None) -> Topic:
    if topic is VIDEOS and partitions is not None:
        topic = replace(topic, partitions=partitions)
    return topic if replication is None else replace(topic, replication=replication)


def _same(actual: str, wanted: str) -> bool:
    return {part.strip() for part in actual.split(",")} == set(wanted.split(","))


def _states(admin: Any, settings: Settings, topics: Sequence[Topic]) -> list[TopicState]:
    names = [topic.name(settings.kafka_prefix) for topic in topics]
    described = {each["name"]: each for each in admin.describe_topics(names)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, list(_ASKED)) for name in names]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    states = []
    for topic, name in zip(topics, names, strict=True):
        found = described[name]
        if found["error_code"] not in (0, _NO_SUCH_TOPIC):
            raise for_code(found["error_code"])(name)
        parts = found["partitions"]
        config = {key: each["value"] for key, each in configs.get(name, {}).items() if each["value"] is not None}
        states.append(TopicState(topic, name, len(parts), min((len(part["replica_nodes"]) for part in parts), default=0), config))
    return states


def _create(admin: Any, settings: Settings, missing: Sequence[TopicState]) -> set[str]:
    """Make the missing topics; return the names made here, and not by somebody else at the same time."""
    wanted = {
        state.name: {
            "num_partitions": state.topic.partitions,
            "replication_factor": state.topic.replication,
            "configs": dict(state.topic.config),
        }
        for state in missing
    }
    _made(settings, admin.create_topics(wanted, validate_only=True, raise_errors=False)["topics"])
    made = _made(settings, admin.create_topics(wanted, raise_errors=False)["topics"])
    admin.wait_for_topics(list(wanted))
    return made


def _made(settings: Settings, answers: Iterable[Mapping[str, Any]]) -> set[str]:
    made = set()
    for answer in answers:
        error = for_code(answer["error_code"])
        if answer["error_code"] == 0:
            made.add(answer["name"])
        elif error is InvalidReplicationFactorError:
            raise BrokerRefused(
                f"Topic {answer['name']}", answer["error_message"], "Give --replication as many brokers as there are, or fewer"
            )
        elif error is not TopicAlreadyExistsError:
            raise _told(settings, error(answer["error_message"]))
    return made


def _alter(admin: Any, settings: Settings, state: TopicState) -> tuple[str, ...]:
    """Change what may be changed of a topic; say what was changed."""
    topic, known, changes = state.topic, state.config or {}, []
    if config := _config_to_set(state):
        resource = ConfigResource(ConfigResourceType.TOPIC, state.name, dict(config))
        answer = admin.alter_configs([resource], raise_on_unknown=False)["topic"][state.name]
        if answer != "OK":
            raise BrokerRefused(
                f"Topic {state.name}", f"its configuration was not changed: {answer}", "Have the broker's access rules allow it"
            )
        changes += [f"{key} {known[key]} → {value}" for key, value in config.items()]
    if _partitions_to_add(state):
        (result,) = admin.create_partitions({state.name: topic.partitions}, raise_errors=False).results
        if (error := for_code(result.error_code)) is InvalidPartitionsError:
            return tuple(changes)  # somebody else was faster
        if result.error_code:
            raise _told(settings, error(result.error_message))
        changes.append(f"{state.partitions} → {topic.partitions} partitions; keys have moved")
    return tuple(changes)


def _config_to_set(state: TopicState) -> dict[str, str]:
    known = state.config or {}
    return {key: value for key, value in state.topic.config.items() if key in known and not _same(known[key], value)}


def _partitions_to_add(state: TopicState) -> bool:
    return state.topic.grows and state.partitions < state.topic.partitions


def _settled(admin: Any, settings: Settings, topics: Sequence[Topic], altered: Collection[str]) -> list[TopicState]:
    """The topics as the brokers have them, once these have heard of what was altered, or after some seconds in any case."""
    deadline = time.monotonic() + _HEARD_S
    while True:
        states = _states(admin, settings, topics)
        late = (state for state in states if state.name in altered and (_config_to_set(state) or _partitions_to_add(state)))
        if not any(late) or time.monotonic() > deadline:
            return states
        time.sleep(0.1)


def _told(settings: Settings, error: Any) -> SosieError:
    return named(error, require_brokers(settings))
