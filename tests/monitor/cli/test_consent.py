"""`sosie consent`: licences, their windows, and what a scan makes of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.cast.credentials import Studio
from tests.monitor.household import SINGER, rows, sosie


def granted(*options: str) -> str:
    """Grant a consent for the singer to @tribute; its id."""
    ran = sosie("consent", "grant", SINGER.name, "@tribute", *options)
    assert ran.status == 0, ran.err
    return ran.out.split()[1].rstrip(":")


def test_a_grant_is_listed_in_full_and_a_revocation_stays_in_the_list(furnished: Path) -> None:
    terms = ("--platform", "demo", "--platform", "clips", "--use", "tribute", "--territory", "de")
    consent = granted(*terms, "--from", "2026-01-01", "--until", "2027-01-01", "--note", "the tour")
    expected = {
        "id": consent,
        "likeness": SINGER.name,
        "account": "@tribute",
        "certificate": None,
        "platforms": ["demo", "clips"],
        "uses": ["tribute"],
        "territories": ["DE"],
        "unknown_territories": [],
        "from": "2026-01-01T00:00:00+00:00",
        "until": "2027-01-01T00:00:00+00:00",
        "revoked": None,
    }
    assert sosie("consent", "list", SINGER.name, "--json").objects == [expected]
    assert len(sosie("consent", "list", "--json").objects) == 2  # the athlete's too
    assert "is revoked" in sosie("consent", "revoke", consent).out
    (found,) = sosie("consent", "list", SINGER.name, "--json").objects
    assert found | {"revoked": None} == expected
    assert found["revoked"]


def test_the_table_shows_whole_ids_to_copy(furnished: Path) -> None:
    consent = granted()
    table = sosie("consent", "list", SINGER.name).out
    assert consent in table
    assert "granted" in table
    sosie("consent", "revoke", consent)
    assert "revoked" in sosie("consent", "list", SINGER.name).out


def test_a_scan_is_cleared_while_the_consent_stands_and_flagged_after_it(furnished: Path, clips: Path) -> None:
    def flagged() -> bool:
        (found,) = sosie("scan", clips / "singer.mp4", "--account", "@tribute", "--json").objects
        assert found["matches"]
        return bool(found["assessment"]["flagged"])

    assert flagged()
    consent = granted()
    assert not flagged()
    sosie("consent", "revoke", consent)
    assert flagged()


@pytest.mark.parametrize(
    ("window", "posted_at", "cleared"),
    [
        (("--from", "2026-01-01", "--until", "2026-02-01"), "2026-01-15", True),
        (("--from", "2026-01-01", "--until", "2026-02-01"), "2026-02-01", False),
        (("--from", "2026-01-01", "--until", "2026-02-01"), "2025-12-31", False),
        (
            (
                "--from",
                "2026-01-01",
            ),
            "2026-11-01",
            True,
        ),
    ],
)
def test_the_window_counts_at_the_time_of_the_post(
    furnished: Path, clips: Path, window: tuple[str, ...], posted_at: str, cleared: bool
) -> None:
    granted(*window)
    (found,) = sosie("scan", clips / "singer.mp4", "--account", "@tribute", "--posted-at", posted_at, "--json").objects
    assert found["assessment"]["flagged"] is not cleared


def test_a_consent_for_one_platform_clears_no_other(furnished: Path, clips: Path) -> None:
    granted("--platform", "demo")
    on_demo, elsewhere = (
        sosie("scan", clips / "singer.mp4", "--account", "@tribute", "--platform", platform, "--json").objects[0]
        for platform in ("demo", "other")
    )
    assert not on_demo["assessment"]["flagged"]
    assert elsewhere["assessment"]["flagged"]


def test_a_use_beyond_the_terms_is_a_reason_of_its_own_and_one_inside_names_the_consent(furnished: Path, clips: Path) -> None:
    consent = granted("--use", "tribute", "--territory", "DE")

    def scanned(*options: str) -> dict[str, str]:
        (found,) = sosie("scan", clips / "singer.mp4", "--account", "@tribute", "--json", *options).objects
        return {reason["code"]: reason["text"] for reason in found["assessment"]["reasons"]}

    inside = scanned("--purpose", "tribute", "--territory", "DE")
    assert inside["consent"] == f"The rights holder licensed the account @tribute (consent {consent[:8]})."
    beyond = scanned("--purpose", "advertising", "--territory", "DE")
    assert beyond["consent_exceeded"] == (
        "A consent was granted to @tribute, but does not cover this: it is limited to the uses tribute, and this is advertising."
    )
    assert "and where the post is shown is not known" in scanned("--purpose", "tribute")["consent_exceeded"]


def test_a_worldwide_consent_clears_germany_and_a_code_nobody_knows_is_refused(furnished: Path, clips: Path) -> None:
    granted("--territory", "001")
    for place in ((), ("--territory", "de"), ("--territory", "US-CA")):
        (found,) = sosie("scan", clips / "singer.mp4", "--account", "@tribute", "--json", *place).objects
        assert not found["assessment"]["flagged"]
        assert [reason["code"] for reason in found["assessment"]["reasons"]].count("consent") == 1
    refused = sosie("consent", "grant", SINGER.name, "@tribute", "--territory", "XX")
    assert refused.status == 1
    assert "The consent for @tribute: names the territory 'XX', which is no code Sosie knows. Give a country (DE)" in refused.err
    refused = sosie("scan", clips / "singer.mp4", "--territory", "XX")
    assert refused.status == 1
    assert "--territory: names the territory 'XX'" in refused.err


def test_a_code_of_before_they_were_checked_is_listed_as_unknown(furnished: Path) -> None:
    consent = granted("--territory", "FR")
    with sqlite3.connect(furnished / "sosie.sqlite3") as database:
        database.execute('UPDATE consents SET territories = \'["XX", "FR"]\' WHERE id = ?', (consent,))
    assert "in XX (unknown) or FR" in " ".join(sosie("consent", "list", SINGER.name).out.split())
    (found,) = sosie("consent", "list", SINGER.name, "--json").objects
    assert (found["territories"], found["unknown_territories"]) == (["XX", "FR"], ["XX"])


def test_a_certificate_is_named_by_its_file_or_its_digest(furnished: Path, tmp_path: Path) -> None:
    certificate = Studio("A Studio").certificate
    file = tmp_path / "studio.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    ran = sosie("consent", "grant", SINGER.name, "--certificate", file)
    assert ran.status == 0, ran.err
    (found,) = sosie("consent", "list", SINGER.name, "--json").objects
    digest = certificate.fingerprint(SHA256()).hex()
    assert (found["account"], found["certificate"]) == (None, digest)
    again = sosie("consent", "grant", SINGER.name, "--certificate", digest)
    assert f"the certificate {digest[:16]}… may use" in again.out
    file.write_text("nothing")
    for wrong, reason in (
        (("--certificate", file), "holds no certificate in PEM"),
        (("--certificate", "nowhere.pem"), "no SHA-256"),
        ((), "names no licensee"),
    ):
        ran = sosie("consent", "grant", SINGER.name, *wrong)
        assert ran.status == 1
        assert reason in ran.err


def test_a_window_that_ends_before_it_starts_is_refused(furnished: Path) -> None:
    ran = sosie("consent", "grant", SINGER.name, "@tribute", "--from", "2026-02-01", "--until", "2026-01-01")
    assert ran.status == 1
    assert "The consent for @tribute: would end (2026-01-01T00:00:00+00:00) before it starts" in ran.err
    assert "Give an end after the start, or no end." in ran.err
    assert rows(furnished, "consents") == {"consents": 1}


def test_unknown_names_and_ids_are_errors_that_name_them(furnished: Path) -> None:
    ran = sosie("consent", "grant", "Nobody Atall", "@tribute")
    assert ran.status == 1
    assert "Likeness 'Nobody Atall': is not registered." in ran.err
    ran = sosie("consent", "revoke", "beef")
    assert ran.status == 1
    assert "Consent beef: does not exist. `sosie consent list` shows all." in ran.err
    assert rows(furnished, "consents") == {"consents": 1}


def test_without_consents_the_list_says_so(home: Path) -> None:
    assert sosie("consent", "list").out == "No consent was granted.\n"
