"""Settings → where blobs lie: the home's folder, or the bucket that SOSIE_STORAGE_URL names."""

from __future__ import annotations

import os
from collections.abc import Mapping

from monitor.base.blob_folder import FolderBlobs
from monitor.base.blobs import Blobs
from monitor.base.errors import ConfigError
from monitor.base.settings import Settings
from monitor.base.storage_key import StorageKey, load_storage_key


def open_blobs(settings: Settings) -> Blobs:
    """The blobs of the settings; nothing is read or written yet. Raises `ConfigError` for settings that do not fit together."""
    return blobs_at(settings, settings.storage_url)


def storage_key(settings: Settings) -> StorageKey:
    """The key that wraps what is encrypted among the blobs. Raises `ConfigError`: with a bucket it has to be set."""
    return load_storage_key(settings, shared=settings.storage_url is not None)


def blobs_at(settings: Settings, url: str | None, environ: Mapping[str, str] | None = None) -> Blobs:
    """The blobs at `url` (None: in the home), by the settings' endpoint and keys; what they leave out, by the AWS variables."""
    if url is None:
        return FolderBlobs(settings.home)
    from monitor.base.blob_bucket import Bucket, BucketBlobs  # here, because its client takes its time to load

    if (settings.storage_access_key is None) != (settings.storage_secret_key is None):
        raise ConfigError("SOSIE_STORAGE_ACCESS_KEY and SOSIE_STORAGE_SECRET_KEY", "belong together", "Set both, or neither")
    load_storage_key(settings, shared=True)  # its absence should show now, not with the first fingerprint
    environ = os.environ if environ is None else environ
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return BucketBlobs(
        Bucket(
            name=bucket,
            prefix=prefix.strip("/"),
            endpoint=settings.storage_endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"),
            region=settings.storage_region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            access_key=settings.storage_access_key,
            secret_key=None if settings.storage_secret_key is None else settings.storage_secret_key.get_secret_value(),
        )
    )
