from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.base.errors import ConfigError
from monitor.cast.credentials import Studio
from monitor.provenance.trust import SPECIFIED_EKUS, Purpose, TrustLists
from monitor.provenance.trust_files import Kind, TrustFile, bundle, named, recognise

FILE = Path("list.pem")
STUDIO = Studio("A Studio")
SIGNER = STUDIO.certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"Subject\tCN=A, O=B\n" + STUDIO.anchor_pem, Kind.OFFICIAL, id="official"),
        pytest.param(b"## This interim trust list is now frozen.\n" + STUDIO.anchor_pem, Kind.INTERIM, id="interim"),
        pytest.param(b"# this temporary known certificate list for use\n" + SIGNER, Kind.INTERIM_ALLOWED, id="interim, allowed"),
        pytest.param(STUDIO.anchor_pem, Kind.OWN, id="own"),
        pytest.param(SIGNER + STUDIO.anchor_pem, Kind.OWN, id="own, with signers in it"),
        pytest.param(SIGNER, Kind.OWN_ALLOWED, id="own, allowed"),
        pytest.param(b"// email\n1.3.6.1.5.5.7.3.4\n", Kind.USAGES, id="usages"),
    ],
)
def test_a_file_is_told_by_its_own_words(content: bytes, kind: Kind) -> None:
    assert recognise(content, FILE) is kind


@pytest.mark.parametrize("content", [b"", b"\x30\x82\x00\x00", b"hello\n"])
def test_what_is_no_trust_file_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"list\.pem: (holds neither|is empty)"):
        recognise(content, FILE)


def test_the_official_list_is_asked_first_and_the_settings_last() -> None:
    own = TrustLists((), SPECIFIED_EKUS)
    files = [
        TrustFile(Kind.OWN, "own.pem", STUDIO.anchor_pem),
        TrustFile(Kind.INTERIM, "interim", STUDIO.anchor_pem),
        TrustFile(Kind.OFFICIAL_TSA, "stamps", STUDIO.anchor_pem),
        TrustFile(Kind.OFFICIAL, "official", STUDIO.anchor_pem),
        TrustFile(Kind.OWN_ALLOWED, "allowed", SIGNER),
        TrustFile(Kind.USAGES, "usages", b"1.2.3.4\n"),
    ]
    made = bundle(files, own)
    assert [item.name for item in made.lists] == ["official", "stamps", "interim", "own.pem"]
    assert [item.name for item in made.signers] == ["official", "interim", "own.pem"]
    assert [item.purpose for item in made.lists][1] is Purpose.TIME_STAMPS
    assert [item.name for item in made.allowed] == ["allowed"]
    assert made.ekus.splitlines() == [*SPECIFIED_EKUS.splitlines(), "1.2.3.4"]
    assert bundle(list(reversed(files)), own) == made


def test_a_stated_kind_that_the_file_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="no certificate authority"):
        bundle([TrustFile(Kind.OFFICIAL, "official", SIGNER)], TrustLists())
    with pytest.raises(ConfigError, match="no signer's own certificate"):
        bundle([TrustFile(Kind.OWN_ALLOWED, "allowed", STUDIO.anchor_pem)], TrustLists())


def test_the_well_known_lists_have_their_names_and_others_that_of_their_file() -> None:
    assert named(Kind.OFFICIAL, FILE) == "C2PA trust list"
    assert named(Kind.OWN, FILE) == "list.pem"
