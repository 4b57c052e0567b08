"""Every error Sosie raises on purpose. The root and its rules: `indexes.errors`.

An error for a person at three in the morning: the thing, the reason, the next step. Codes are stable: they stand in `--json`, in
metrics and in dead letters. Whose fault an error is decides what becomes of a post that meets it (`streams.retry`):

    PostFault        of the post: its message, its address, its file; or of whoever asked     dead letter at once
        MessageRefused, UnknownVersion, NotFound, BlockedAddress, FetchRefused, TooLarge, NotAVideo, UnreadableMedia,
        DecoderDied, DecoderTimeout, ReferenceRefused, RequestRefused, LeaseHeld, LeaseLost
    SourceFault      of its source: the server of that video                                  a few tries, then dead letter
        FetchFailed
    SosieFault       of Sosie, or of what it stands on                                        waits, is tried again without end
        DatabaseBusy, DatabaseError, StorageFull, StorageUnavailable, BlobDamaged, IndexCorrupt, SpaceMismatch, ModelError, ConfigError,
        PolicyError, PolicyUnreadable, InForceUnreadable, SandboxUnavailable, BrokerUnavailable, BrokerRefused,
        DeadLettersExceeded
    UnforeseenFault  of Sosie, perhaps brought about by this one post; so is whatever         as above, until others get through
        is no error of ours: a bug                                                            and it does not: then Quarantined
        DataRefused, Quarantined
"""

from __future__ import annotations

from indexes.errors import (
    IndexCorrupt,
    PermanentError,
    PostFault,
    SosieError,
    SosieFault,
    SourceFault,
    SpaceMismatch,
    TransientError,
    UnforeseenFault,
)

__all__ = [
    "BlobDamaged",
    "BlockedAddress",
    "BrokerRefused",
    "BrokerUnavailable",
    "ConfigError",
    "DataRefused",
    "DatabaseBusy",
    "DatabaseError",
    "DeadLettersExceeded",
    "DecoderDied",
    "DecoderTimeout",
    "FetchFailed",
    "FetchRefused",
    "InForceUnreadable",
    "IndexCorrupt",
    "LeaseHeld",
    "LeaseLost",
    "MessageRefused",
    "ModelError",
    "NotAVideo",
    "NotFound",
    "PermanentError",
    "PolicyError",
    "PolicyUnreadable",
    "PostFault",
    "Quarantined",
    "ReferenceRefused",
    "RequestRefused",
    "SandboxUnavailable",
    "SosieError",
    "SosieFault",
    "SourceFault",
    "SpaceMismatch",
    "StorageFull",
    "StorageUnavailable",
    "TooLarge",
    "TransientError",
    "UnforeseenFault",
    "UnknownVersion",
    "UnreadableMedia",
]


class ConfigError(SosieFault, PermanentError):
    """A setting is unknown or its value is bad; the thing is the setting's name."""

    code = "config"


class PolicyError(SosieFault, PermanentError):
    """policy.yaml is not a policy; the thing is FILE:LINE:COLUMN."""

    code = "policy"


class PolicyUnreadable(SosieFault, TransientError):
    """The stored policy that acts is of another release than this one. Nothing is wrong with what was to be assessed."""

    code = "policy_unreadable"


class InForceUnreadable(SosieFault, TransientError):
    """Trust lists, marks or a probe that are in force are missing or were changed. Nothing is wrong with what was to be assessed."""

    code = "in_force_unreadable"


class ModelError(SosieFault, PermanentError):
    """A model cannot be loaded. Sosie never falls back to random weights."""

    code = "model"


class NotFound(PostFault, PermanentError):
    """A file, likeness, case or consent by that name does not exist."""

    code = "not_found"


class BlockedAddress(PostFault, PermanentError):
    """A URL, or a redirect of it, leads to an address Sosie may not reach."""

    code = "blocked_address"


class FetchRefused(PostFault, PermanentError):
    """The server answered, and the answer will not change (4xx, wrong scheme, too many redirects)."""

    code = "fetch_refused"


class FetchFailed(SourceFault, TransientError):
    """The network or the server failed (DNS, reset, 5xx, too slow)."""

    code = "fetch_failed"


class TooLarge(PostFault, PermanentError):
    """More bytes, pixels or seconds than the limits allow."""

    code = "too_large"


class NotAVideo(PostFault, PermanentError):
    """The bytes are a picture, a sound file, text, nothing: not a video, whatever their name says."""

    code = "not_a_video"


class UnreadableMedia(PostFault, PermanentError):
    """The bytes claim to be media, but no frame can be decoded."""

    code = "unreadable_media"


class DecoderDied(PostFault, PermanentError):
    """The worker process that decoded the file was killed or crashed (memory, CPU limit, a bug it hit)."""

    code = "decoder_died"


class DecoderTimeout(PostFault, PermanentError):
    """The worker process passed its wall-clock limit and was killed."""

    code = "decoder_timeout"


class ReferenceRefused(PostFault, PermanentError):
    """A picture cannot be a reference: no face, several, too small, too blurred."""

    code = "reference_refused"


class SandboxUnavailable(SosieFault, TransientError):
    """No decoding worker can be had: none starts on this machine, or Sosie is stopping. The input may be fine."""

    code = "sandbox_unavailable"


class StorageFull(SosieFault, TransientError):
    """The disk is full; what was stored before is untouched."""

    code = "storage_full"


class StorageUnavailable(SosieFault, TransientError):
    """Files or blobs cannot be read or written: read-only, unreachable, refused; what was stored before is untouched."""

    code = "storage_unavailable"


class BlobDamaged(SosieFault, TransientError):
    """A stored blob is not what was written: cut short or altered. Nothing of it is used."""

    code = "blob_damaged"


class DatabaseBusy(SosieFault, TransientError):
    """The database is locked or unreachable; the transaction was rolled back whole."""

    code = "database_busy"


class DatabaseError(SosieFault, PermanentError):
    """The database refuses: wrong schema version, wrong credentials, a standby, not a database."""

    code = "database"


class DataRefused(DatabaseError, UnforeseenFault):
    """The database works, and refuses what one write holds: too long, out of range, against a rule of the schema. A bug of Sosie's."""

    code = "data_refused"


class LeaseHeld(PostFault, TransientError):
    """Somebody else holds a live claim on the case; it ends by itself at the time named."""

    code = "lease_held"


class LeaseLost(PostFault, PermanentError):
    """The claim expired or passed to somebody else; the late write changed nothing."""

    code = "lease_lost"


class RequestRefused(PostFault, PermanentError):
    """A request breaks a rule (no reason given, an unknown verdict, a window that ends before it starts); nothing changed."""

    code = "request_refused"


class BrokerUnavailable(SosieFault, TransientError):
    """Kafka cannot be reached, or did not confirm in time; what was sent may still arrive, so send it again under the same identity."""

    code = "broker_unavailable"


class BrokerRefused(SosieFault, PermanentError):
    """Kafka answered, and the answer will not change: wrong credentials, no such topic, not authorised."""

    code = "broker_refused"


class MessageRefused(PostFault, PermanentError):
    """A message is not what its topic promises: no JSON, a missing or wrong field, null."""

    code = "bad_message"


class UnknownVersion(MessageRefused):
    """A message of a type or version this Sosie does not know: a newer one wrote it."""

    code = "unknown_version"


class DeadLettersExceeded(SosieFault, PermanentError):
    """Nearly everything on a partition fails in a way that no uploader can cause: the partition pauses before all are dead letters."""

    code = "dead_letters_exceeded"


class Quarantined(UnforeseenFault, PermanentError):
    """One event alone meets a fault of Sosie's again and again, or ends its worker, while others get through: that event is put aside."""

    code = "quarantined"
