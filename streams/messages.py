"""The messages on Sosie's topics: versioned JSON, documented with an example each in docs/messages.md.

- Every message says its `type` and `version`. Within a version fields are only ever added, with a default: readers
  ignore fields they do not know, so that old workers read new producers. Anything else is a new version.
- A version once published is read for ever: `tests/streams/test_messages.py` keeps every published example readable.
- `parse` raises `UnknownVersion` for a type or version this Sosie does not know, and `MessageRefused` for everything else
  that is not what its topic promises. Its errors name the place in the message and never show a value.
- Times are instants in UTC, written as RFC 3339. Messages carry ids, never a person's name.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from monitor.errors import MessageRefused, UnknownVersion

MAX_BYTES = 256 * 1024
"""No message of ours is longer; what is longer is refused before it is parsed."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:~-]{1,200}$")]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=8192, pattern=r"^[a-z][a-z0-9+.-]*://[^\s\x00-\x1f]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Message(BaseModel):
    """What all messages share. Frozen; equal content is an equal value."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    TYPE: ClassVar[str]

    def to_bytes(self) -> bytes:
        """UTF-8 JSON without fields that say nothing; equal messages give equal bytes."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), ensure_ascii=False, separators=(",", ":")).encode()


class VideoPosted(Message):
    """One upload on one platform, to be looked at. `id` is its identity: the same id again is the same post."""

    TYPE = "sosie.video_posted"

    type: Literal["sosie.video_posted"] = "sosie.video_posted"
    version: Literal[1] = 1
    id: Id
    uri: Uri
    platform: Name | None = None
    account: Name | None = None
    posted_at: AwareDatetime | None = None
    caption: Annotated[str, StringConstraints(max_length=20_000)] | None = None
    views: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class CaseChanged(Message):
    """What happened to a case, for other systems. `id` is the event's identity, `sequence` counts the case's events from 1.

    Delivered at least once, in order per case: drop an event whose id, or a sequence number not above the last, was seen.
    `post_id` is the post that opened or joined the case; `state`, `risk` and `verdict` are those after the change.
    """

    TYPE = "sosie.case_changed"

    type: Literal["sosie.case_changed"] = "sosie.case_changed"
    version: Literal[1] = 1
    id: Id
    case_id: Id
    sequence: Annotated[int, Field(ge=1)]
    change: Literal["opened", "joined", "decided", "reopened"]
    at: AwareDatetime
    likeness_id: Id
    video_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    state: Literal["open", "decided"]
    risk: Annotated[float, Field(ge=0, le=1)]
    verdict: Name | None = None
    post_id: Id | None = None


class Origin(BaseModel):
    """Where an event first stood: for good its identity, however often it is replayed. `timestamp` is the broker's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    timestamp: AwareDatetime | None = None

    @property
    def id(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class DeadLetter(Message):
    """An event that can never succeed, kept with its reason. The latest message of an `id` is how it stands.

    `value` and `key` are the event's own bytes in base64; of a `truncated` one only the first kilobytes. `attempts` counts
    every try, those before a replay included.
    """

    TYPE = "sosie.dead_letter"

    type: Literal["sosie.dead_letter"] = "sosie.dead_letter"
    version: Literal[1] = 1
    id: Id
    origin: Origin
    state: Literal["waiting", "replayed", "discarded"] = "waiting"
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,60}$")]
    error: Annotated[str, StringConstraints(max_length=4000)]
    attempts: Annotated[int, Field(ge=1)]
    at: AwareDatetime
    post_id: Id | None = None
    key: str | None = None
    value: str | None = None
    truncated: bool = False
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None


_M = TypeVar("_M", bound=Message)


def parse(kind: type[_M], value: bytes | None) -> _M:
    """Read one message of the kind that its topic carries. Raises `MessageRefused`, of which `UnknownVersion` is one."""
    if value is None:
        raise _refused("it is null", kind)
    if len(value) > MAX_BYTES:
        raise _refused(f"it has {len(value)} bytes, {MAX_BYTES} are allowed", kind)
    try:
        read = json.loads(value)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _refused(f"it is not JSON ({_where(error)})", kind) from None
    return _checked(kind, read)


def _checked(kind: type[_M], read: Any) -> _M:
    if not isinstance(read, dict):
        raise _refused(f"it is a JSON {type(read).__name__}, not an object", kind)
    known = kind.model_fields["version"].default
    if read.get("type") != kind.TYPE or read.get("version") != known:
        named = f"{str(read.get('type'))[:60]!a} version {str(read.get('version'))[:20]!a}"
        raise UnknownVersion(
            "The message", f"it says it is {named}; this Sosie reads {kind.TYPE} version {known}", "Update Sosie, or mend the producer"
        )
    try:
        return kind.model_validate(read)
    except ValidationError as error:
        raise _refused(told(error), kind) from None


def told(error: ValidationError) -> str:
    """The first three faults of a message, each with its place and without its value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    shown = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'the message'}: {fault['msg']}" for fault in faults[:3])
    return shown + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else type(error).__name__


def _refused(reason: str, kind: type[Message]) -> MessageRefused:
    return MessageRefused("The message", reason, f"Mend the producer; docs/messages.md shows what a {kind.TYPE} is")
