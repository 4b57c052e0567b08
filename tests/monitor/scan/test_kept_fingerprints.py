from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.base.blob_folder import FolderBlobs
from monitor.base.storage_key import StorageKey
from monitor.scan import kept_fingerprints
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.vision.marks import NO_MARKS
from monitor.vision.watermark import Sighting
from tests.monitor.fakes import fingerprint, identity

KEY = StorageKey(bytes(range(32)))
PRINT = fingerprint([(0, [identity(1)]), (2, [identity(2)])], times_s=[0.0, 0.5, 1.25])


@dataclass
class Clock:
    now: datetime = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kept(home: Path, days: int = 2, *, key: StorageKey = KEY, clock: Clock | None = None) -> FingerprintStore:
    """A process's store over a home."""
    return FingerprintStore(FolderBlobs(home), key, days, **({} if clock is None else {"clock": clock}))


def same(one: object, other: object) -> bool:
    assert type(one) is type(other)
    for name in type(one).__dataclass_fields__:  # type: ignore[attr-defined]
        ours, theirs = getattr(one, name), getattr(other, name)
        if name in ("frame_vectors",):
            np.testing.assert_array_equal(ours, theirs)
        elif name == "face_vectors":
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            assert ours == theirs, name
    return True


def test_comes_back_equal_for_the_same_bytes_and_makers_only(tmp_path: Path) -> None:
    store = kept(tmp_path)
    assert store.get(PRINT.sha256, PRINT.makers) is None
    store.put(PRINT)
    assert same(store.get(PRINT.sha256, PRINT.makers), PRINT)
    assert store.get(PRINT.sha256, "other") is None
    assert store.get("b" * 64, PRINT.makers) is None


def test_marks_come_back_and_a_later_version_of_them_takes_the_place_of_the_former_and_dies_with_it(tmp_path: Path, clock: Clock) -> None:
    store = kept(tmp_path, clock=clock)
    store.put(PRINT)
    marked = replace(PRINT, watermarks="0123456789ab", marks=(Sighting("quill", None, 0.9, ((0.0, 1.0),), 0.5, (0.1, 0.1, 0.2, 0.2)),))
    clock.advance(days=1)
    store.put(marked)
    assert same(store.get(PRINT.sha256, PRINT.makers), marked)
    assert len([*tmp_path.rglob(f"{PRINT.sha256}-*")]) == 1
    clock.advance(days=1)
    assert store.get(PRINT.sha256, PRINT.makers) is None, "looking again prolongs nothing"


def test_a_fingerprint_of_before_marks_were_looked_for_is_one_under_no_templates() -> None:
    with np.load(io.BytesIO(kept_fingerprints._pack(PRINT)), allow_pickle=False) as arrays:
        held = dict(arrays)
    facts = {name: value for name, value in json.loads(held["facts"].tobytes()).items() if name not in ("watermarks", "marks")}
    stream = io.BytesIO()
    np.savez(stream, **(held | {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}))
    found = kept_fingerprints._unpack(stream.getvalue())
    assert (found.watermarks, found.marks) == (NO_MARKS, ())


def test_what_is_kept_is_not_readable_without_the_days_key(tmp_path: Path) -> None:
    store = kept(tmp_path)
    store.put(PRINT)
    (key,) = tmp_path.rglob("key")
    (sealed,) = tmp_path.rglob(f"{PRINT.sha256}-*")
    assert PRINT.face_vectors[0].tobytes() not in sealed.read_bytes()
    assert b"face_spaces" not in sealed.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    key.unlink()
    assert store.get(PRINT.sha256, PRINT.makers) is None


def test_a_damaged_file_is_as_if_never_kept(tmp_path: Path) -> None:
    store = kept(tmp_path)
    store.put(PRINT)
    (sealed,) = tmp_path.rglob(f"{PRINT.sha256}-*")
    data = bytearray(sealed.read_bytes())
    data[40] ^= 1
    sealed.write_bytes(data)
    assert store.get(PRINT.sha256, PRINT.makers) is None
    store.put(PRINT)
    assert store.get(PRINT.sha256, PRINT.makers) is not None


def test_expires_with_its_day(tmp_path: Path, clock: Clock) -> None:
    store = kept(tmp_path, clock=clock)
    store.put(PRINT)
    clock.advance(days=1)
    assert store.expire() == 0
    assert store.get(PRINT.sha256, PRINT.makers) is not None
    clock.advance(days=1)
    assert store.expire() == 1
    assert store.get(PRINT.sha256, PRINT.makers) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_store_that_lives_for_thirty_days_holds_two(tmp_path: Path, clock: Clock) -> None:
    store = kept(tmp_path, clock=clock)
    for day in range(30):
        store.put(replace(PRINT, sha256=f"{day:064x}"))
        held = sorted(path.name for path in (tmp_path / "fingerprints").iterdir())
        assert held == sorted((clock() - timedelta(days=n)).date().isoformat() for n in range(min(2, day + 1)))
        clock.advance(days=1)


@pytest.mark.parametrize("touch", ["get", "put"])
def test_the_first_call_of_an_hour_destroys_what_is_over_even_what_another_process_kept(tmp_path: Path, clock: Clock, touch: str) -> None:
    ours = kept(tmp_path, 1, clock=clock)
    ours.put(PRINT)
    clock.now = datetime(2030, 1, 1, 23, 59, tzinfo=UTC)
    ours.get("b" * 64, "other")
    kept(tmp_path, 1, clock=clock).put(replace(PRINT, sha256="c" * 64))
    clock.now = datetime(2030, 1, 2, 0, 0, tzinfo=UTC)
    if touch == "get":
        ours.get("b" * 64, "other")
    else:
        ours.put(replace(PRINT, sha256="d" * 64))
    assert not (tmp_path / "fingerprints" / "2030-01-01").exists()


def test_the_key_goes_before_what_it_opens(tmp_path: Path, clock: Clock) -> None:
    store = kept(tmp_path, clock=clock)
    store.put(PRINT)
    gone: list[str] = []

    class Watched(FolderBlobs):
        def delete(self, name: str) -> None:
            super().delete(name)
            gone.append(name.rpartition("/")[2])

    clock.advance(days=2)
    FingerprintStore(Watched(tmp_path), KEY, 2, clock=clock).expire()
    assert gone[0] == "key"
    assert len(gone) == 2


def test_the_days_key_itself_is_of_no_use_without_the_key_that_wraps_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept(tmp_path).put(PRINT)
    other = kept(tmp_path, key=StorageKey(b"another key, not that of others."))
    assert other.get(PRINT.sha256, PRINT.makers) is None
    other.put(replace(PRINT, sha256="b" * 64))
    assert "same SOSIE_STORAGE_KEY_FILE" in caplog.text
    assert [*tmp_path.rglob(f"{'b' * 64}-*")] == [], "what could not be read again is not kept"
    assert kept(tmp_path).get(PRINT.sha256, PRINT.makers) is not None, "and nobody else's is lost"


def test_a_key_that_wrapped_before_still_opens(tmp_path: Path) -> None:
    kept(tmp_path).put(PRINT)
    later = StorageKey(b"another key, not that of others.", older=(KEY,))
    assert same(kept(tmp_path, key=later).get(PRINT.sha256, PRINT.makers), PRINT)


def test_a_day_of_a_release_that_did_not_wrap_is_read_and_added_to(tmp_path: Path, clock: Clock) -> None:
    store = kept(tmp_path, clock=clock)
    store.put(PRINT)
    (key,) = tmp_path.rglob("key")
    raw = KEY.unwrap(key.read_bytes(), "fingerprints/2030-01-01/key")
    assert raw is not None
    key.write_bytes(raw)
    assert same(store.get(PRINT.sha256, PRINT.makers), PRINT)
    store.put(replace(PRINT, sha256="b" * 64))
    assert store.get("b" * 64, PRINT.makers) is not None


def test_days_zero_keeps_nothing(tmp_path: Path) -> None:
    store = kept(tmp_path, 0)
    store.put(PRINT)
    assert list(tmp_path.rglob("*")) == []
    assert store.get(PRINT.sha256, PRINT.makers) is None
