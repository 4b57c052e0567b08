"""Blobs in a bucket of an S3-compatible store, by obstore (the Rust crate object_store).

Each object carries the SHA-256 of its bytes as user metadata; reading checks it. Conditional writes are S3's own (If-None-Match, If-Match;
Amazon since 2024, MinIO, Ceph, R2). We try again ourselves, not the client: only we know whether a write whose answer was lost is there.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from monitor.base.blobs import Listed, require_name, require_prefix
from monitor.base.errors import BlobDamaged, SosieError, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from obstore import ObjectMeta  # of its stub only

T = TypeVar("T")

_SHA256 = "sha256"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_INSTANCE_METADATA = ("169.254.169.254", "169.254.170.2")
_KEYS = "Check SOSIE_STORAGE_ACCESS_KEY and SOSIE_STORAGE_SECRET_KEY (or AWS's own variables)"
_FULL_CODES = ("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage")
_PAGE = 1000  # what S3 lists at once
_CONNECT_S, _READ_S, _WHOLE_S = 3, 20, 300


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the keys to it. Without keys the client looks for them as AWS's do: variables, web identity, container, instance."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried when the store is slow, away or cut off, with pauses that double, jittered."""

    attempts: int = 5
    first_s: float = 0.2
    longest_s: float = 3.0

    def pause(self, failures: int) -> None:
        time.sleep(min(self.longest_s, self.first_s * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0))  # noqa: S311


class BucketBlobs:
    """Blobs in a bucket; see `monitor.base.blobs.Blobs`. The bucket must exist, and must not keep old versions of what is deleted."""

    def __init__(self, bucket: Bucket, patience: Patience = Patience()) -> None:
        self._bucket = bucket
        self._patience = patience
        given: dict[str, Any] = {"endpoint": bucket.endpoint, "access_key_id": bucket.access_key, "secret_access_key": bucket.secret_key}
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.region,
            disable_bulk_delete=True,  # one request, one answer; not every store has the other
            client_options={
                "allow_http": (bucket.endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "read_timeout": timedelta(seconds=_READ_S),
                "timeout": timedelta(seconds=_WHOLE_S),
            },
            retry_config={"max_retries": 0},
            **{name: value for name, value in given.items() if value is not None},
        )
        self._seen = False

    @property
    def place(self) -> str:
        return f"s3://{self._bucket.name}" + (f"/{self._bucket.prefix}" if self._bucket.prefix else "")

    def get(self, name: str) -> bytes | None:
        found = self.tagged(name)
        return None if found is None else found[0]

    def tagged(self, name: str) -> tuple[bytes, str] | None:
        def work(_: bool) -> tuple[bytes, str] | None:
            try:
                answer = obstore.get(self._store, require_name(name))
            except FileNotFoundError as error:
                self._absent(error)
                return None
            data = bytes(answer.bytes())
            digest = answer.attributes.get(_SHA256)
            if len(data) != answer.meta["size"] or digest not in (None, hashlib.sha256(data).hexdigest()):
                raise BlobDamaged(
                    f"{self.place}/{name}",
                    f"its {len(data)} bytes are not the {answer.meta['size']} that were written",
                    "`sosie storage check` says what depends on it",
                )
            return data, answer.meta["e_tag"] or ""

        return self._tried(name, work)

    def exists(self, name: str) -> bool:
        def work(_: bool) -> bool:
            try:
                obstore.head(self._store, require_name(name))
            except FileNotFoundError as error:
                self._absent(error)
                return False
            return True

        seen = self._seen
        found = self._tried(name, work)
        if not found and not seen:  # the answer to HEAD has no body, which would tell a missing bucket
            self.folders(name.split("/", 1)[0])
        return found

    def put(self, name: str, data: bytes) -> None:
        self._tried(name, lambda _: self._written(name, data, "overwrite"))

    def put_new(self, name: str, data: bytes) -> bool:
        def work(unsure: bool) -> bool:
            try:
                self._written(name, data, "create")
            except AlreadyExistsError as error:
                self._taken(error)
                return unsure and self.get(name) == data  # the write whose answer was lost
            return True

        return self._tried(name, work)

    def replace(self, name: str, data: bytes, tag: str | None) -> bool:
        if tag is None:
            return self.put_new(name, data)

        def work(unsure: bool) -> bool:
            try:
                self._written(name, data, {"e_tag": tag})
            except PreconditionError as error:
                self._taken(error)
                return unsure and self.get(name) == data
            except FileNotFoundError as error:
                self._absent(error)
                return False
            return True

        return self._tried(name, work)

    def listed(self, prefix: str) -> Iterator[Listed]:
        last: str | None = None
        while page := self._tried(prefix, partial(self._page, prefix, last)):
            for each in page:
                yield Listed(each["path"], each["size"], each["last_modified"].timestamp())
                last = each["path"]

    def _page(self, prefix: str, after: str | None, _: bool) -> Sequence[ObjectMeta]:
        return next(iter(obstore.list(self._store, require_prefix(prefix), offset=after, chunk_size=_PAGE)), ())

    def folders(self, prefix: str) -> list[str]:
        found = self._tried(prefix, lambda _: obstore.list_with_delimiter(self._store, require_prefix(prefix)))
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def delete(self, name: str) -> None:
        def work(_: bool) -> None:
            try:
                obstore.delete(self._store, require_name(name))
            except FileNotFoundError as error:
                self._absent(error)

        self._tried(name, work)

    def _written(self, name: str, data: bytes, mode: Any) -> None:
        try:
            # One request, because parts have no condition in common; S3 takes up to 5 GiB that way.
            obstore.put(
                self._store,
                require_name(name),
                data,
                mode=mode,
                use_multipart=False,
                attributes={_SHA256: hashlib.sha256(data).hexdigest()},
            )
        except FileNotFoundError as error:
            self._absent(error)
            raise

    def _absent(self, error: Exception) -> None:
        """Raise if the bucket itself is missing; pass if only a blob in the bucket is."""
        if _code(error) == "NoSuchBucket":
            raise self._no_bucket() from None

    def _no_bucket(self) -> StorageUnavailable:
        return StorageUnavailable(self.place, "there is no such bucket", "Make it, or name another in SOSIE_STORAGE_URL")

    def _taken(self, error: Exception) -> None:
        """Pass if the condition of a write certainly does not hold; raise if that is not certain yet, or the bucket is missing."""
        self._absent(error)  # the client takes a missing bucket for a missing object, and that for a failed condition
        if _code(error) == "ConditionalRequestConflict":
            raise _Conflict(str(error)) from None

    def _tried(self, name: str, work: Callable[[bool], T]) -> T:
        """Call `work` until a call succeeds or no further try could; a call hears whether one before it may have been done unheard."""
        failures = 0
        while True:
            try:
                done = work(failures > 0)
            except (SosieError, BaseError, _Conflict) as error:
                fault = error if isinstance(error, SosieError) else self._fault(name, error)
                failures += 1
                if failures >= self._patience.attempts or not _passing(error):
                    raise fault from None  # what the client says may show more of a request than belongs in a log
                self._patience.pause(failures)
            else:
                self._seen = True
                return done

    def _fault(self, name: str, error: Exception) -> SosieError:
        status, code, text = _status(error), _code(error), str(error)
        said = " ".join(filter(None, (str(status or ""), code)))
        thing = f"{self.place}/{name}"
        if code == "NoSuchBucket":
            return self._no_bucket()
        if status == 507 or code in _FULL_CODES:
            return StorageFull(thing, f"the store is full ({said}); what was stored before is untouched", "Free some space there")
        if code == "RequestTimeTooSkewed":
            return StorageUnavailable(self.place, f"refuses our time ({said})", "Set this machine's clock")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in (401, 403):
            reason = f"refuses our key, or what it asks for ({said})"
            return StorageUnavailable(self.place, reason, f"{_KEYS}: it must be allowed to read, write, list and delete there")
        if any(address in text for address in _INSTANCE_METADATA):
            return StorageUnavailable(self.place, "no key is set, and this machine has no role to take one from", _KEYS)
        endpoint = self._bucket.endpoint or "Amazon S3"
        if status is None:
            return StorageUnavailable(thing, f"{endpoint} cannot be reached, or broke off", "Check the network and SOSIE_STORAGE_ENDPOINT")
        if status >= 500 or status == 429:
            return StorageUnavailable(thing, f"{endpoint} cannot serve us now ({said})", "Try again; if it stays, look after the store")
        return StorageUnavailable(thing, f"{endpoint} refuses ({said})", "Check SOSIE_STORAGE_ENDPOINT and SOSIE_STORAGE_REGION")


class _Conflict(Exception):
    """A write met another write of the same name under way; neither was refused for good."""


def _passing(error: Exception) -> bool:
    """Whether another try may go better than the one that ended in `error`."""
    if isinstance(error, SosieError):
        return isinstance(error, BlobDamaged)  # cut on its way, perhaps
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or any(address in str(error) for address in _INSTANCE_METADATA):
        return False
    status = _status(error)
    return status is None or status in (408, 409, 429) or (status >= 500 and status != 507)


def _status(error: Exception) -> int | None:
    found = _STATUS.search(str(error))
    return None if found is None else int(found[1])


def _code(error: Exception) -> str | None:
    found = _CODE.search(str(error))
    return None if found is None else found[1]
