"""Numbers and times in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from monitor.review import words

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "00:00.0"), (12.34, "00:12.3"), (59.96, "01:00.0"), (187.4, "03:07.4"), (3787.4, "1:03:07.4"), (3599.99, "1:00:00.0")],
)
def test_a_place_in_a_video(time_s: float, text: str) -> None:
    assert words.at_time(time_s) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (47 * 3600, "47 h"),
        (48 * 3600, "2 days"),
        (7 * 86400, "7 days"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert words.age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.24, "4.2 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"), (59.99, "1 min 0 s")])
def test_how_long(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("risk", "text", "word"),
    [(0, "0", "low"), (0.5, "50", "medium"), (0.8, "80", "high"), (0.9996, "99", "very high"), (1, "100", "very high")],
)
def test_risk(risk: float, text: str, word: str) -> None:
    assert (words.percent(risk), words.risk_word(risk)) == (text, word)


def test_a_weight_has_a_real_sign() -> None:
    assert [words.signed(weight) for weight in (2.31, -0.5, 0.0)] == ["+2.3", "−0.5", "+0.0"]


def test_dates_and_instants() -> None:
    assert words.day(date(1994, 3, 1)) == "1 March 1994"
    assert words.moment(datetime(2026, 11, 22, 1, 5, tzinfo=timezone(timedelta(hours=2)))) == "21 Nov 2026, 23:05 UTC"


def test_counts() -> None:
    assert [words.count(number, "post") for number in (0, 1, 1234)] == ["0 posts", "1 post", "1,234 posts"]
