"""Every error Sosie raises on purpose. The root and its rules: `indexes.errors`.

An error for a person at three in the morning: the thing, the reason, the next step. Codes are stable:
they stand in `--json`, in metrics and, later, in dead letters.
"""

from __future__ import annotations

from indexes.errors import IndexCorrupt, PermanentError, SosieError, SpaceMismatch, TransientError

__all__ = [
    "BlobDamaged",
    "BlockedAddress",
    "BrokerRefused",
    "BrokerUnavailable",
    "ConfigError",
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
    "ReferenceRefused",
    "RequestRefused",
    "SosieError",
    "SpaceMismatch",
    "StorageFull",
    "StorageUnavailable",
    "TooLarge",
    "TransientError",
    "UnknownVersion",
    "UnreadableMedia",
]


class ConfigError(PermanentError):
    """A setting is unknown or its value is bad; the thing is the setting's name."""

    code = "config"


class PolicyError(PermanentError):
    """policy.yaml is not a policy; the thing is FILE:LINE."""

    code = "policy"


class PolicyUnreadable(TransientError):
    """The stored policy that acts is of another release than this one. Nothing is wrong with what was to be assessed."""

    code = "policy_unreadable"


class InForceUnreadable(TransientError):
    """Trust lists, marks or a probe that are in force are missing or were changed. Nothing is wrong with what was to be assessed."""

    code = "in_force_unreadable"


class ModelError(PermanentError):
    """A model cannot be loaded. Sosie never falls back to random weights."""

    code = "model"


class NotFound(PermanentError):
    """A file, likeness, case or consent by that name does not exist."""

    code = "not_found"


class BlockedAddress(PermanentError):
    """A URL, or a redirect of it, leads to an address Sosie may not reach."""

    code = "blocked_address"


class FetchRefused(PermanentError):
    """The server answered, and the answer will not change (4xx, wrong scheme, too many redirects)."""

    code = "fetch_refused"


class FetchFailed(TransientError):
    """The network or the server failed (DNS, reset, 5xx, too slow)."""

    code = "fetch_failed"
    of_one_input = True


class TooLarge(PermanentError):
    """More bytes, pixels or seconds than the limits allow."""

    code = "too_large"


class NotAVideo(PermanentError):
    """The bytes are a picture, a sound file, text, nothing: not a video, whatever their name says."""

    code = "not_a_video"


class UnreadableMedia(PermanentError):
    """The bytes claim to be media, but no frame can be decoded."""

    code = "unreadable_media"


class DecoderDied(PermanentError):
    """The worker process that decoded the file was killed or crashed (memory, CPU limit, a bug it hit)."""

    code = "decoder_died"


class DecoderTimeout(PermanentError):
    """The worker process passed its wall-clock limit and was killed."""

    code = "decoder_timeout"


class ReferenceRefused(PermanentError):
    """A picture cannot be a reference: no face, several, too small, too blurred."""

    code = "reference_refused"


class SandboxUnavailable(TransientError):
    """No decoding worker can be had: none starts on this machine, or Sosie is stopping. The input may be fine."""

    code = "sandbox_unavailable"


class StorageFull(TransientError):
    """The disk is full; what was stored before is untouched."""

    code = "storage_full"


class StorageUnavailable(TransientError):
    """The folder or bucket of blobs cannot be reached, or refuses. Nothing is wrong with what was to be stored."""

    code = "storage_unavailable"


class BlobDamaged(TransientError):
    """A stored blob is not what was written: cut short or altered. Nothing of it is used."""

    code = "blob_damaged"


class DatabaseBusy(TransientError):
    """The database is locked or unreachable; the transaction was rolled back whole."""

    code = "database_busy"


class DatabaseError(PermanentError):
    """The database refuses: wrong schema version, wrong credentials, not a database."""

    code = "database"


class LeaseHeld(TransientError):
    """Somebody else holds a live claim on the case; it ends by itself at the time named."""

    code = "lease_held"


class LeaseLost(PermanentError):
    """The claim expired or passed to somebody else; the late write changed nothing."""

    code = "lease_lost"


class RequestRefused(PermanentError):
    """What was asked breaks a rule (no reason given, an unknown verdict, a window that ends before it starts); nothing changed."""

    code = "request_refused"


class BrokerUnavailable(TransientError):
    """Kafka cannot be reached, or did not confirm in time; what was sent may still arrive, so send it again under the same identity."""

    code = "broker_unavailable"


class BrokerRefused(PermanentError):
    """Kafka answered, and the answer will not change: wrong credentials, no such topic, not authorised."""

    code = "broker_refused"


class MessageRefused(PermanentError):
    """A message is not what its topic promises: no JSON, a missing or wrong field, null."""

    code = "bad_message"


class UnknownVersion(MessageRefused):
    """A message of a type or version this Sosie does not know: a newer one wrote it."""

    code = "unknown_version"


class DeadLettersExceeded(PermanentError):
    """Nearly everything fails: the worker stops before it shovels a topic into dead letters. Nothing more was acknowledged."""

    code = "dead_letters_exceeded"
