"""The states of docs/provenance.md that take some making: one test for each row."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from c2pa import Builder, C2paSigningAlg, Context, Signer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.cast.credentials import CAPTURED, GENERATED, Studio, tamper
from monitor.provenance.check import check, manifest_store, recheck
from monitor.provenance.trust import AllowedList, Purpose, TrustList, TrustLists
from monitor.provenance.types import State
from tests.monitor.provenance.making import clip, sign_with_revocation
from tests.monitor.provenance.time_stamps import authority


def of(studio: Studio, name: str = "list", purpose: Purpose = Purpose.SIGNERS) -> TrustList:
    return TrustList(name, studio.anchor_pem.decode(), purpose)


def signed(folder: Path, plain: Path, studio: Studio, **options: object) -> Path:
    target = folder / "signed.mp4"
    studio.sign(plain, target, digital_source_type=CAPTURED, generator="Camera", **options)  # type: ignore[arg-type]
    return target


# Who vouches


def test_a_verdict_names_list_and_certificates(tmp_path: Path, plain: Path, studio: Studio) -> None:
    found = check(signed(tmp_path, plain, studio), TrustLists((of(Studio("Else"), "other"), of(studio, "ours"))))
    assert (found.state, found.trust_list) == (State.TRUSTED, "ours")
    assert found.certificate == studio.certificate.fingerprint(SHA256()).hex() == found.signed_by
    assert found.anchor == f"{studio.root.subject.rfc4514_string()}, SHA-256 {studio.root.fingerprint(SHA256()).hex()}"


def test_an_authority_for_time_stamps_vouches_for_no_signer(tmp_path: Path, plain: Path, studio: Studio) -> None:
    file = signed(tmp_path, plain, studio)
    alone = check(file, TrustLists((of(studio, "stamps", Purpose.TIME_STAMPS),)))
    assert (alone.state, alone.trust_list, alone.anchor) == (State.UNTRUSTED, None, None)
    beside = check(file, TrustLists((of(Studio("Else"), "signers"), of(studio, "stamps", Purpose.TIME_STAMPS))))
    assert (beside.state, beside.codes) == (State.UNTRUSTED, ("signingCredential.untrusted",))


def test_nor_for_an_ingredients_signer(tmp_path: Path, plain: Path, studio: Studio) -> None:
    other = Studio("Parents")
    parent = tmp_path / "parent.mp4"
    other.sign(plain, parent, digital_source_type=GENERATED, generator="Machine")
    child = tmp_path / "child.mp4"
    studio.sign(plain, child, digital_source_type=GENERATED, generator="Editor", parent=parent)
    both = TrustLists((of(studio, "signers"), of(other, "parents")))
    stamping = TrustLists((of(studio, "signers"), of(other, "parents", Purpose.TIME_STAMPS)))
    strict = TrustLists((of(studio, "signers"),))
    assert check(child, both).state is State.TRUSTED
    assert (check(child, stamping).state, check(child, stamping).codes) == (check(child, strict).state, check(child, strict).codes)


def test_a_signer_on_an_allowed_list_is_trusted_without_an_authority(tmp_path: Path, plain: Path, studio: Studio) -> None:
    certificate = studio.certificate.fingerprint(SHA256()).hex()
    allowed = TrustLists(allowed=(AllowedList("others", ("00" * 32,)), AllowedList("allowed", (certificate,))))
    file = signed(tmp_path, plain, studio)
    found = check(file, allowed)
    assert (found.state, found.trust_list, found.codes) == (State.TRUSTED, "allowed", ())
    assert found.anchor is not None
    assert certificate in found.anchor
    assert check(file, TrustLists()).state is State.UNTRUSTED
    tamper(file, tmp_path / "changed.mp4")
    assert check(tmp_path / "changed.mp4", allowed).state is State.TAMPERED


def test_an_allowed_certificate_beside_another_chain_vouches_for_nothing(tmp_path: Path, plain: Path, studio: Studio) -> None:
    """Somebody signs with a key of their own and names the allowed certificate: the signature does not fit it."""
    mallory = Studio("Mallory")
    chain = (studio.certificate.public_bytes(Encoding.PEM) + studio.anchor_pem).decode()

    def signature(claim: bytes) -> bytes:
        r, s = decode_dss_signature(ec.generate_private_key(ec.SECP256R1()).sign(claim, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    file = tmp_path / "forged.mp4"
    settings = {"verify": {"verify_after_sign": False}, "core": {"allowed_network_hosts": []}}
    definition = {"claim_generator_info": [{"name": "x"}], "format": "video/mp4"}
    with (
        Context.from_dict(settings) as context,
        Builder(definition, context) as builder,
        Signer.from_callback(signature, C2paSigningAlg.ES256, chain) as signer,
        plain.open("rb") as unsigned,
        file.open("w+b") as into,
    ):
        builder.sign(signer, "video/mp4", unsigned, into)
    allowed = TrustLists(allowed=(AllowedList("allowed", (studio.certificate.fingerprint(SHA256()).hex(),)),))
    found = check(file, allowed)
    assert found.state is State.TAMPERED
    assert found.signed_by is None
    assert mallory.anchor_pem not in file.read_bytes()


# Time


def test_expired_but_time_stamped_is_trusted_and_names_the_list_of_the_stamp(tmp_path: Path, plain: Path, openssl: str) -> None:
    for valid_s in (4, 12, 36, 108):  # as long as a busy machine needs to sign and look
        studio = Studio("Brief Studio", valid_s=valid_s)
        ends = studio.certificate.not_valid_after_utc
        (folder := tmp_path / str(valid_s)).mkdir()
        with authority(openssl, folder) as stamps:
            file = signed(tmp_path, plain, studio, time_stamps=stamps.url)
            stamping = TrustList("stamps", stamps.anchor_pem.decode(), Purpose.TIME_STAMPS)
        fresh = check(file, TrustLists((of(studio),)))
        if datetime.now(UTC) < ends:
            break
    assert (fresh.state, fresh.signed_at is None) == (State.TRUSTED, False)
    while datetime.now(UTC) < ends + timedelta(seconds=1):
        time.sleep(0.1)
    lists = TrustLists((of(studio), stamping))
    found = check(file, lists)
    assert found.codes == ()
    assert (found.state, found.trust_list, found.stamp_list) == (State.TRUSTED, "list", "stamps")
    without = check(file, TrustLists((of(studio),)))
    assert without.state is State.UNTRUSTED
    assert {"signingCredential.expired", "timeStamp.untrusted"} <= {*without.codes}
    assert without.signed_by is None
    raw = manifest_store(file)
    assert raw is not None
    assert recheck(raw, without, lists) == found


# Judged again


def test_a_stored_verdict_follows_the_lists_without_the_file(tmp_path: Path, plain: Path, studio: Studio) -> None:
    file = signed(tmp_path, plain, studio)
    tamper(file, tmp_path / "changed.mp4")
    sign_with_revocation(studio, plain, tmp_path / "revoked.mp4")
    lists = [TrustLists(), TrustLists((of(studio),)), TrustLists((of(Studio("Else")),))]
    for path in (file, tmp_path / "changed.mp4", tmp_path / "revoked.mp4"):
        raw = manifest_store(path)
        assert raw is not None
        for before in lists:
            for after in lists:
                assert recheck(raw, check(path, before), after) == check(path, after), path.name


def test_a_file_without_a_manifest_has_no_store(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no media")
    assert manifest_store(plain) is None
    assert manifest_store(tmp_path / "text") is None


# Shapes


def test_a_manifest_appended_to_the_wrong_file_is_tampered(tmp_path: Path, plain: Path, studio: Studio) -> None:
    """The boxes of one signed file, around the media of another."""
    file = signed(tmp_path, plain, studio)
    other = clip(tmp_path / "other.mp4", shade=90)
    wrong = tmp_path / "wrong.mp4"
    wrong.write_bytes(_with_manifest_of(file, other))
    found = check(wrong, TrustLists((of(studio),)))
    assert (found.state, found.trust_list) == (State.TAMPERED, None)
    assert "assertion.bmffHash.mismatch" in found.codes


def test_two_manifests_are_not_one(tmp_path: Path, plain: Path, studio: Studio) -> None:
    file = signed(tmp_path, plain, studio)
    box = _manifest_box(file.read_bytes())
    file.write_bytes(file.read_bytes() + box)
    found = check(file, TrustLists((of(studio),)))
    assert (found.state, found.trust_list) == (State.MALFORMED, None)


def test_a_fragmented_file_is_held_to_each_of_its_fragments(tmp_path: Path, studio: Studio) -> None:
    fragmented = clip(tmp_path / "fragmented.mp4", fragmented=True)
    assert fragmented.read_bytes().count(b"moof") == 5
    file = signed(tmp_path, fragmented, studio)
    trust = TrustLists((of(studio),))
    assert check(file, trust).state is State.TRUSTED
    content = file.read_bytes()
    for fragment in range(5):
        at = -1
        for _ in range(fragment + 1):
            at = content.index(b"mdat", at + 1)
        changed = tmp_path / "changed.mp4"
        changed.write_bytes(content[: at + 8] + bytes([content[at + 8] ^ 1]) + content[at + 9 :])
        assert check(changed, trust).state is State.TAMPERED, fragment
    missing = tmp_path / "missing.mp4"
    missing.write_bytes(content[: content.rindex(b"moof") - 4])
    assert check(missing, trust).state is State.TAMPERED


def test_an_update_manifest_leaves_the_content_to_its_parent(tmp_path: Path, plain: Path, studio: Studio) -> None:
    file = signed(tmp_path, plain, studio)
    updated = tmp_path / "updated.mp4"
    studio.update(file, updated)
    found = check(updated, TrustLists((of(studio),)))
    assert (found.state, found.manifests) == (State.TRUSTED, 2)
    tamper(updated, tmp_path / "changed.mp4")
    assert check(tmp_path / "changed.mp4", TrustLists((of(studio),))).state is State.TAMPERED


def test_an_unknown_algorithm_is_malformed(tmp_path: Path, plain: Path, studio: Studio) -> None:
    """The protected header's algorithm, ES256 (-7), becomes -24, which COSE gives to nothing that C2PA knows."""
    file = signed(tmp_path, plain, studio)
    content = file.read_bytes()
    header = content.index(bytes.fromhex("0126"), content.rindex(b"c2pa.signature"))
    file.write_bytes(content[:header] + bytes.fromhex("0137") + content[header + 2 :])
    found = check(file, TrustLists((of(studio),)))
    assert found.state is State.MALFORMED


_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def _manifest_box(content: bytes) -> bytes:
    at = content.index(_C2PA) - 8
    return content[at : at + int.from_bytes(content[at : at + 4])]


def _with_manifest_of(signed_file: Path, other: Path) -> bytes:
    content = other.read_bytes()
    head = int.from_bytes(content[:4])  # of ftyp
    return content[:head] + _manifest_box(signed_file.read_bytes()) + content[head:]
