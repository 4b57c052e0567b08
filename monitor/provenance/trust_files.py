"""Which list a downloaded trust file is, told by its own words, and what it then means. Pure.

| kind | told by | believed about |
|---|---|---|
| official | a line `Subject<tab>CN=…` above each certificate | signers |
| official-tsa | the same, and certificates for time-stamping only | time-stamps |
| interim | its comment: "interim trust list is now frozen" | signers and time-stamps |
| interim-allowed | its comment: "temporary known certificate list" | the signers it names |
| usages | object identifiers, and no certificate | which extended key usages may sign |
| own-allowed | certificates of signers, and of no authority | the signers it names |
| own | anything else with an authority in it | signers and time-stamps |
| own-tsa | never told: the operator says so | time-stamps |

Words can be copied: what a file *is* shows in its SHA-256, which `sosie trust show` prints and `sosie trust update --sha256` demands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID

from monitor.base.errors import ConfigError
from monitor.provenance.trust import (
    SPECIFIED_EKUS,
    AllowedList,
    Purpose,
    TrustList,
    TrustLists,
    authorities,
    is_authority,
    only_certificates,
    single_signers,
    usages,
    usages_of,
)

__all__ = ["USAGES_MISSING", "Kind", "TrustFile", "bundle", "lacks_usages", "named", "recognise"]


class Kind(StrEnum):
    OFFICIAL = "official"
    OFFICIAL_TSA = "official-tsa"
    INTERIM = "interim"
    INTERIM_ALLOWED = "interim-allowed"
    USAGES = "usages"
    OWN = "own"
    OWN_TSA = "own-tsa"
    OWN_ALLOWED = "own-allowed"


_NAMES = {
    Kind.OFFICIAL: "C2PA trust list",
    Kind.OFFICIAL_TSA: "C2PA time-stamping trust list",
    Kind.INTERIM: "interim trust list (frozen)",
    Kind.INTERIM_ALLOWED: "interim allowed list (frozen)",
    Kind.USAGES: "extended key usages",
}
USAGES_MISSING = (
    "The interim list is in force without the key usages it is published with: most files whose signers it names stay `untrusted`, "
    "as signed by certificates that may not sign C2PA claims. Download its `store.cfg` and run `sosie trust update store.cfg`."
)

_ORDER = list(Kind)
"""In which lists are asked who vouches: the official before the interim, the operator's own last."""

_FROZEN = b"interim trust list is now frozen"
_TEMPORARY = b"temporary known certificate list"
_OFFICIAL = re.compile(rb"^Subject\tCN=", re.MULTILINE)
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class TrustFile:
    """A trust file and the kind it is taken for. `name` is what verdicts call it."""

    kind: Kind
    name: str
    content: bytes


def recognise(content: bytes, file: Path) -> Kind:
    """The kind of a trust file, by its own words. Raises `ConfigError` for a file that is none."""
    if _CERTIFICATE not in content and b"-----BEGIN" not in content:
        try:
            usages(content, file)
        except ConfigError:
            raise ConfigError(file, "holds neither PEM certificates nor object identifiers", "Give a list as it was published") from None
        return Kind.USAGES
    if _FROZEN in content:
        return Kind.INTERIM if _mostly_authorities(content, file) else Kind.INTERIM_ALLOWED
    if _TEMPORARY in content:
        return Kind.INTERIM_ALLOWED
    if _OFFICIAL.search(content):
        return Kind.OFFICIAL_TSA if _stamps_time(content, file) else Kind.OFFICIAL
    return Kind.OWN if any(map(is_authority, only_certificates(content, file))) else Kind.OWN_ALLOWED


def named(kind: Kind, file: Path) -> str:
    """The name that verdicts call a list by: the common name of its kind if there is one, else the file's."""
    return _NAMES.get(kind, file.name)


def bundle(files: Sequence[TrustFile], own: TrustLists) -> TrustLists:
    """The lists of all files, and the operator's `own` (of the settings) last. Raises `ConfigError` for a file that is not what its
    kind says."""
    ordered = sorted(files, key=lambda each: (_ORDER.index(each.kind), each.name))
    lists: list[TrustList] = []
    allowed: list[AllowedList] = []
    ekus = dict.fromkeys(own.ekus.splitlines())
    for each in ordered:
        about = Path(each.name)
        if each.kind is Kind.USAGES:
            ekus |= dict.fromkeys(SPECIFIED_EKUS.splitlines()) | dict.fromkeys(usages(each.content, about).splitlines())
        elif each.kind in (Kind.INTERIM_ALLOWED, Kind.OWN_ALLOWED):
            allowed.append(single_signers(each.content, about, name=each.name))
        else:
            purpose = Purpose.TIME_STAMPS if each.kind in (Kind.OFFICIAL_TSA, Kind.OWN_TSA) else Purpose.SIGNERS
            lists.append(authorities(each.content, about, name=each.name, purpose=purpose))
    return TrustLists((*lists, *own.lists), "\n".join(ekus), (*allowed, *own.allowed))


def lacks_usages(kinds: Iterable[str], own: TrustLists) -> bool:
    """Whether `kinds` hold an interim list, and neither they nor the settings (`own`) a file of key usages."""
    there = {*kinds}
    return bool(there & {Kind.INTERIM, Kind.INTERIM_ALLOWED}) and Kind.USAGES not in there and own.ekus == SPECIFIED_EKUS


def _stamps_time(content: bytes, file: Path) -> bool:
    """Whether some certificates in a file name usages, and all of these name time-stamping."""
    usages_named = [usage for usage in map(usages_of, only_certificates(content, file)) if usage]
    return bool(usages_named) and all(ExtendedKeyUsageOID.TIME_STAMPING in usage for usage in usages_named)


def _mostly_authorities(content: bytes, file: Path) -> bool:
    found = only_certificates(content, file)
    return 2 * sum(map(is_authority, found)) >= len(found)
