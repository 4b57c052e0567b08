"""Which lists are in force when the library is asked again. Whom it then trusts, `test_states.py` shows on files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509

from monitor.cast.credentials import Studio
from monitor.provenance.trust import Purpose, TrustList, TrustLists
from monitor.provenance.trust_files import Kind, TrustFile, bundle
from monitor.provenance.vouching import Vouched, usages_missing, vouch

SIGNER, STAMPER = Studio("Signer"), Studio("Stamper")
CHAIN = (SIGNER.certificate, SIGNER.root)
TRUSTED = {"activeManifest": {"success": [{"code": "signingCredential.trusted"}, {"code": "claimSignature.validated"}], "failure": []}}


def of(name: str, *studios: Studio, purpose: Purpose = Purpose.SIGNERS) -> TrustList:
    return TrustList(name, "".join(studio.anchor_pem.decode() for studio in studios), purpose)


def asked(trust: TrustLists, chains: Mapping[str, Any], labels: list[str]) -> tuple[Vouched, list[dict[str, int]]]:
    """What comes of it, and under which lists, with how many authorities each, it was asked again."""
    questions: list[dict[str, int]] = []

    def again(lists: TrustLists) -> Mapping[str, Any]:
        questions.append({item.name: len(item.certificates) for item in lists.lists if item.anchors})
        return TRUSTED

    return vouch(TRUSTED, labels, chains, trust, again), questions


def test_one_list_is_not_asked_twice() -> None:
    vouched, questions = asked(TrustLists((of("signers", SIGNER),)), {"m": CHAIN}, ["m"])
    assert (vouched.trusted, vouched.trust_list, questions) == (True, "signers", [])


def test_the_lists_for_time_stamps_stay_without_what_leads_to_the_signer() -> None:
    stamps = of("stamps", SIGNER, STAMPER, purpose=Purpose.TIME_STAMPS)
    _, questions = asked(TrustLists((of("signers", SIGNER), stamps)), {"m": CHAIN}, ["m"])
    assert questions == [{"signers": 1, "stamps": 1}]


def test_each_list_of_signers_is_asked_alone_and_the_other_only_for_time() -> None:
    vouched, questions = asked(TrustLists((of("a", SIGNER, STAMPER), of("b", SIGNER, STAMPER))), {"m": CHAIN}, ["m"])
    assert (vouched.trust_list, questions) == ("a", [{"a": 2, "b": 1}])


def test_lists_that_lead_nowhere_near_the_signer_are_not_asked_about() -> None:
    else_ = Studio("Else")
    trust = TrustLists((of("a", else_), of("b", SIGNER), of("c", else_), of("stamps", STAMPER, purpose=Purpose.TIME_STAMPS)))
    vouched, questions = asked(trust, {"m": CHAIN}, ["m"])
    assert (vouched.trusted, vouched.trust_list, questions) == (True, "b", [])


def test_an_ingredients_signer_counts_for_that() -> None:
    trust = TrustLists((of("a", SIGNER), of("stamps", STAMPER, purpose=Purpose.TIME_STAMPS)))
    _, questions = asked(trust, {"m": CHAIN, "i": (STAMPER.certificate, STAMPER.root)}, ["m", "i"])
    assert questions == [{"a": 1}]


def test_where_a_chain_cannot_be_read_nothing_else_stays_in_force() -> None:
    trust = TrustLists((of("a", SIGNER), of("stamps", STAMPER, purpose=Purpose.TIME_STAMPS)))
    for chains in ({}, {"m": CHAIN}, {"m": CHAIN, "ingredient": ()}):
        _, questions = asked(trust, chains, ["m", "ingredient"])
        assert questions == [{"a": 1}]


EARLY = Studio("Early", usage=x509.ObjectIdentifier("1.3.6.1.4.1.311.76.59.1.9"))
EARLY_CHAIN = (EARLY.certificate, EARLY.root)


@pytest.mark.parametrize(
    ("chain", "kinds", "names_it"),
    [
        pytest.param(EARLY_CHAIN, [Kind.INTERIM], True, id="issued by an authority on a list"),
        pytest.param(EARLY_CHAIN[:1], [Kind.INTERIM], True, id="the authority is on the list alone"),
        pytest.param(EARLY_CHAIN, [Kind.INTERIM_ALLOWED], True, id="allowed by itself"),
        pytest.param(EARLY_CHAIN, [Kind.INTERIM, Kind.USAGES], False, id="its usages are in force"),
        pytest.param(EARLY_CHAIN, [Kind.OWN_TSA], False, id="an authority for time-stamps alone"),
        pytest.param(EARLY_CHAIN, [], False, id="no list leads to it"),
        pytest.param((EARLY.certificate, SIGNER.root), [Kind.OWN], False, id="a list's authority in the chain that issued nothing of it"),
        pytest.param((SIGNER.certificate, SIGNER.root), [Kind.OWN], False, id="a usage that may sign"),
        pytest.param((), [Kind.INTERIM], False, id="no chain"),
    ],
)
def test_usages_are_missed_only_where_a_list_really_names_the_signer(
    chain: tuple[x509.Certificate, ...], kinds: list[Kind], names_it: bool
) -> None:
    contents = {
        Kind.INTERIM: EARLY.anchor_pem,
        Kind.INTERIM_ALLOWED: EARLY.certificate_pem,
        Kind.USAGES: b"1.3.6.1.4.1.311.76.59.1.9\n",
        Kind.OWN_TSA: EARLY.anchor_pem,
        Kind.OWN: SIGNER.anchor_pem,
    }
    said = usages_missing(chain, bundle([TrustFile(kind, f"the {kind} list", contents[kind]) for kind in kinds], TrustLists()))
    assert (said is not None) is names_it
    if said is not None:
        assert f"the {kinds[0]} list names its signer" in said
        assert "`sosie trust update store.cfg`" in said
