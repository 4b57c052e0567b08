from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.scan import kept_fingerprints
from monitor.scan.kept_fingerprints import FingerprintStore
from monitor.vision.marks import NO_MARKS
from monitor.vision.watermark import Sighting
from tests.monitor.fakes import fingerprint, identity

PRINT = fingerprint([(0, [identity(1)]), (2, [identity(2)])], times_s=[0.0, 0.5, 1.25])


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
    store = FingerprintStore(tmp_path, days=2)
    assert store.get(PRINT.sha256, PRINT.makers) is None
    store.put(PRINT)
    assert same(store.get(PRINT.sha256, PRINT.makers), PRINT)
    assert store.get(PRINT.sha256, "other") is None
    assert store.get("b" * 64, PRINT.makers) is None


def test_marks_come_back_and_a_later_version_of_them_takes_the_place_of_the_former_and_dies_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    store = FingerprintStore(tmp_path, days=2)
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 1))
    store.put(PRINT)
    marked = replace(PRINT, watermarks="0123456789ab", marks=(Sighting("quill", None, 0.9, ((0.0, 1.0),), 0.5, (0.1, 0.1, 0.2, 0.2)),))
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 2))
    store.put(marked)
    assert same(store.get(PRINT.sha256, PRINT.makers), marked)
    assert len([*tmp_path.rglob(f"{PRINT.sha256}-*")]) == 1
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 3))
    assert store.get(PRINT.sha256, PRINT.makers) is None, "looking again prolongs nothing"


def test_a_fingerprint_of_before_marks_were_looked_for_is_one_under_no_templates() -> None:
    with np.load(io.BytesIO(kept_fingerprints._pack(PRINT)), allow_pickle=False) as arrays:
        held = dict(arrays)
    facts = {name: value for name, value in json.loads(held["facts"].tobytes()).items() if name not in ("watermarks", "marks")}
    stream = io.BytesIO()
    np.savez(stream, **(held | {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}))
    found = kept_fingerprints._unpack(stream.getvalue())
    assert (found.watermarks, found.marks) == (NO_MARKS, ())


def test_what_lies_on_disk_is_not_readable_without_the_days_key(tmp_path: Path) -> None:
    store = FingerprintStore(tmp_path, days=2)
    store.put(PRINT)
    (key,) = tmp_path.rglob("key")
    (sealed,) = tmp_path.rglob(f"{PRINT.sha256}-*")
    assert PRINT.face_vectors[0].tobytes() not in sealed.read_bytes()
    assert b"face_spaces" not in sealed.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    key.unlink()
    assert store.get(PRINT.sha256, PRINT.makers) is None


def test_a_damaged_file_is_as_if_never_kept(tmp_path: Path) -> None:
    store = FingerprintStore(tmp_path, days=2)
    store.put(PRINT)
    (sealed,) = tmp_path.rglob(f"{PRINT.sha256}-*")
    data = bytearray(sealed.read_bytes())
    data[40] ^= 1
    sealed.write_bytes(data)
    assert store.get(PRINT.sha256, PRINT.makers) is None
    store.put(PRINT)
    assert store.get(PRINT.sha256, PRINT.makers) is not None


def test_expires_with_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import date

    store = FingerprintStore(tmp_path, days=2)
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 1))
    store.put(PRINT)
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 2))
    assert store.expire() == 0
    assert store.get(PRINT.sha256, PRINT.makers) is not None
    monkeypatch.setattr(kept_fingerprints, "_today", lambda: date(2030, 1, 3))
    assert store.get(PRINT.sha256, PRINT.makers) is None
    assert store.expire() == 1
    assert list(tmp_path.rglob("*key*")) == []


def test_days_zero_keeps_nothing(tmp_path: Path) -> None:
    store = FingerprintStore(tmp_path, days=0)
    store.put(PRINT)
    assert list(tmp_path.rglob("*")) == []
    assert store.get(PRINT.sha256, PRINT.makers) is None
