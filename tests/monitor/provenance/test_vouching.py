"""Which lists are in force when the library is asked again. Whom it then trusts, `test_states.py` shows on files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.cast.credentials import Studio
from monitor.provenance.trust import Purpose, TrustList, TrustLists
from monitor.provenance.vouching import Vouched, vouch

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
