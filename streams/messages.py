"""The messages on Sosie's topics: versioned JSON, documented with an example each in docs/messages.md.

- Every message says its `type` and `version`. Within a version fields are only ever added, with a default: readers
  ignore fields they do not know, so that old workers read new producers. Anything else is a new version.
- A version once published is read for ever: `tests/streams/test_messages.py` keeps every published example readable.
- `parse` raises `UnknownVersion` for a type or version this Sosie does not know, and `MessageRefused` for everything else
  that is not what its topic promises. Its errors name the place in the message and never show a value.
- What is documented is what is taken: a number is no text, a text is no number. No text that can reach the database holds
  NUL, because PostgreSQL keeps none.
- Times are instants in UTC, written as RFC 3339. Messages carry ids, never a person's name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
)
from pydantic_core import from_json

from monitor.base.errors import MessageRefused, UnknownVersion

MAX_BYTES = 256 * 1024
"""No message of ours is longer, but for a dead letter, which holds one; what is longer is refused before it is parsed."""

_NO_NUL = r"^[^\x00]*$"
_OUR_TYPE = re.compile(r"sosie\.[a-z_]{1,50}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _rfc_3339(value: Any) -> Any:
    if not isinstance(value, datetime) and not (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        raise ValueError("no time with its offset from UTC as RFC 3339 writes it, say 2026-07-01T12:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment is out of range in UTC") from None


def _encodable(value: Any) -> Any:
    """The value, as UTF-8 if a text: a file's name may hold other bytes, an error may name the file, and that must lose no dead letter."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:~-]{1,200}$")]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=8192, pattern=r"^[a-z][a-z0-9+.-]*://[^\s\x00-\x1f]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_NO_NUL)]
Territory = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|001)$")]
Instant = Annotated[AwareDatetime, Strict(False), BeforeValidator(_rfc_3339), AfterValidator(_in_utc)]
Base64 = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")]


class Message(BaseModel):
    """The base of all messages. Frozen; equal content is an equal value."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    TYPE: ClassVar[str]
    LONGEST_BYTES: ClassVar[int] = MAX_BYTES

    def to_bytes(self) -> bytes:
        """UTF-8 JSON without fields that say nothing; equal messages give equal bytes."""
        return self.model_dump_json(exclude_none=True).encode()


class VideoPosted(Message):
    """One upload on one platform, to be looked at. `id` is its identity: the same id again is the same post."""

    TYPE = "sosie.video_posted"

    type: Literal["sosie.video_posted"] = "sosie.video_posted"
    version: Literal[1] = 1
    id: Id
    uri: Uri
    platform: Name | None = None
    account: Name | None = None
    posted_at: Instant | None = None
    caption: Annotated[str, StringConstraints(max_length=20_000, pattern=_NO_NUL)] | None = None
    views: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    purpose: Name | None = None
    territory: Territory | None = None


class CaseChanged(Message):
    """What happened to a case, for other systems. `id` is the event's identity, `sequence` counts the case's events from 1.

    Delivered at least once, in order per case: drop an event whose id, or a sequence number not above the last, was seen.
    `post_id` is the post that opened or joined the case, or took it back to the queue; `state`, `risk` and `verdict` are those after
    the change: a post that `joined` with a verdict is covered by it. Of `reopened`: the `cause`, the verdict that stood
    (`earlier_verdict`), and, where a post is the cause, wherein it `differs` from those the verdict was given on.
    """

    TYPE = "sosie.case_changed"

    type: Literal["sosie.case_changed"] = "sosie.case_changed"
    version: Literal[1] = 1
    id: Id
    case_id: Id
    sequence: Annotated[int, Field(ge=1)]
    change: Literal["opened", "joined", "decided", "reopened"]
    at: Instant
    likeness_id: Id
    video_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    state: Literal["open", "decided"]
    risk: Annotated[float, Field(ge=0, le=1)]
    verdict: Name | None = None
    post_id: Id | None = None
    cause: Name | None = None
    differs: Annotated[tuple[Name, ...], Strict(False)] | None = None
    earlier_verdict: Name | None = None


class Origin(BaseModel):
    """Where an event first stood: for good its identity, however often it is replayed. `timestamp` is the broker's."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    timestamp: Instant | None = None

    @property
    def id(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class DeadLetter(Message):
    """An event that can never succeed, kept with its reason. The latest message of an `id` is how it stands.

    `value` and `key` are the event's own bytes in base64; of a `truncated` one only the first kilobytes. `attempts` counts
    every try, those before a replay included.
    """

    TYPE = "sosie.dead_letter"
    LONGEST_BYTES = 2 * MAX_BYTES  # base64 makes four bytes of three

    type: Literal["sosie.dead_letter"] = "sosie.dead_letter"
    version: Literal[1] = 1
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}:[0-9]{1,20}:[0-9]{1,20}$")]
    origin: Origin
    state: Literal["waiting", "replayed", "discarded"] = "waiting"
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,60}$")]
    error: Annotated[str, BeforeValidator(_encodable), StringConstraints(max_length=4000)]
    attempts: Annotated[int, Field(ge=1)]
    at: Instant
    post_id: Id | None = None
    key: Base64 | None = None
    value: Base64 | None = None
    truncated: bool = False
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None


_M = TypeVar("_M", bound=Message)


def parse(kind: type[_M], value: bytes | None) -> _M:
    """Read one message of the kind that its topic carries. Raises `MessageRefused`, of which `UnknownVersion` is one."""
    if value is None:
        raise _refused("it is null", kind)
    if len(value) > kind.LONGEST_BYTES:
        raise _refused(f"it has {len(value)} bytes, {kind.LONGEST_BYTES} are allowed", kind)
    try:
        read = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise _refused(f"it is not JSON in UTF-8 ({error})", kind) from None
    if not isinstance(read, dict):
        raise _refused(f"it is a JSON {_JSON_NAMES[type(read)]}, not an object", kind)
    _check_version(kind, read)
    try:
        return kind.model_validate_json(value)
    except ValidationError as error:
        raise _refused(told(error), kind) from None


_JSON_NAMES = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def _check_version(kind: type[Message], read: dict[str, Any]) -> None:
    known, named, version = kind.model_fields["version"].default, read.get("type"), read.get("version")
    if named == kind.TYPE and type(version) is int and version == known:
        return
    says = named if isinstance(named, str) and _OUR_TYPE.fullmatch(named) else "no type of ours"
    says += f" version {version}" if type(version) is int and 0 <= version < 10_000 else " and no version"
    raise UnknownVersion(
        "The message", f"it says {says}; this Sosie reads {kind.TYPE} version {known}", "Update Sosie, or mend the producer"
    )


def told(error: ValidationError) -> str:
    """The first three faults of a message, each with its place and without its value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    shown = "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'the message'}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults[:3]
    )
    return shown + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")


def _refused(reason: str, kind: type[Message]) -> MessageRefused:
    return MessageRefused("The message", reason, f"Mend the producer; docs/messages.md shows what a {kind.TYPE} is")
