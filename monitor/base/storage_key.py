"""The key that wraps the keys of encrypted blobs, so that a bucket, or a copy of a home's blobs, discloses nothing by itself.

wrapped = SOSIE-KEY-1, a newline, 8 bytes that tell the wrapping key, a nonce of 12, AES-256-GCM of the key for its name
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from monitor.base.errors import ConfigError
from monitor.base.files import make_once
from monitor.base.settings import Settings

KEY_FILE = "storage.key"
"""Under the home, mode 0600: what wraps where no other key is set. Not a blob: it never goes where the blobs go."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_MAGIC = b"SOSIE-KEY-1\n"
_MAKE = "Make one with `openssl rand -base64 32 > storage.key`, give every machine the same file, and name it in SOSIE_STORAGE_KEY_FILE"


@dataclass(frozen=True)
class StorageKey:
    """Wraps and unwraps keys of 32 bytes. Immutable; `older` are keys that may still have wrapped something."""

    key: bytes = field(repr=False)
    older: tuple[StorageKey, ...] = ()

    @property
    def id(self) -> bytes:
        """8 bytes that tell this wrapping key from others, and nothing about the key."""
        return hashlib.sha256(b"sosie storage key\0" + self.key).digest()[:8]

    def wrap(self, key: bytes, name: str) -> bytes:
        """`key` wrapped: readable only with this wrapping key, and only as the key of that name."""
        nonce = os.urandom(_NONCE_BYTES)
        return _MAGIC + self.id + nonce + AESGCM(self.key).encrypt(nonce, key, name.encode())

    def unwrap(self, wrapped: bytes, name: str) -> bytes | None:
        """The key that was wrapped under that name; None where the wrapping key is not known here, or `wrapped` not intact."""
        start = len(_MAGIC) + len(self.id)
        nonce, sealed = wrapped[start : start + _NONCE_BYTES], wrapped[start + _NONCE_BYTES :]
        for each in (self, *self.older):
            if wrapped[:start] == _MAGIC + each.id:
                try:
                    return AESGCM(each.key).decrypt(nonce, sealed, name.encode())
                except (InvalidTag, ValueError):  # ValueError: cut short
                    return None
        return None


def load_storage_key(settings: Settings, *, shared: bool) -> StorageKey:
    """The key of the settings, or, for blobs in a folder, one made in the home once; processes that start at once agree on it.

    With `shared` blobs (a bucket) it must be set. A home's own key stays readable after another was set. Raises `ConfigError`.
    """
    own = settings.home / KEY_FILE
    older = (_read_file(own, str(own)),) if own.exists() else ()
    if settings.storage_key is not None:
        return StorageKey(_decoded(settings.storage_key.get_secret_value().encode(), "SOSIE_STORAGE_KEY"), older)
    if settings.storage_key_file is not None:
        return StorageKey(_read_file(settings.storage_key_file, "SOSIE_STORAGE_KEY_FILE").key, older)
    if shared:
        raise ConfigError(
            "SOSIE_STORAGE_KEY_FILE",
            "is not set, and a bucket needs a key that is not in it: it wraps the keys of encrypted blobs",
            _MAKE,
        )
    if not older:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_once(own, base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
    return _read_file(own, str(own))


def _read_file(file: Path, thing: str) -> StorageKey:
    try:
        return StorageKey(_decoded(file.read_bytes(), thing))
    except OSError as error:
        raise ConfigError(thing, f"the file cannot be read: {error.strerror}", "Make it readable for the user Sosie runs as") from error


def _decoded(text: bytes, thing: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(thing, f"holds no {_KEY_BYTES} bytes in base64", _MAKE)
    return key
