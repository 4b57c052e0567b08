"""Both engines of blobs as tests make them, and the writes that both take."""

from __future__ import annotations

from collections.abc import Callable

from monitor.base.blob_bucket import Bucket, BucketBlobs, Patience
from monitor.base.blobs import Blobs
from tests.object_store import ACCESS_KEY, SECRET_KEY

QUICK = Patience(attempts=4, first_s=0.01, longest_s=0.02)
NAME = "evidence/clip/person/0000001500.jpg"

WRITES: list[Callable[[Blobs], object]] = [
    lambda blobs: blobs.put(NAME, b"mine"),
    lambda blobs: blobs.put_new(NAME, b"mine"),
    lambda blobs: blobs.replace(NAME, b"mine", None),
]


def bucket_blobs(store_url: str, bucket: str, *, prefix: str = "of/ours", access_key: str = ACCESS_KEY) -> BucketBlobs:
    return BucketBlobs(Bucket(bucket, prefix, store_url, access_key=access_key, secret_key=SECRET_KEY), QUICK)
