"""The history a file tells of itself: its manifests, what each says was done, and from what. Data only; `tree.py` reads it.

Flat on purpose: manifests are numbered from 1, the active one first, and an ingredient names its manifest by that number. A manifest
that is reached by many ways is kept once, and no shape of the graph makes a history larger or deeper.

Every text is what the file says, made safe by `manifest.plain`. `state` alone is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "ACTIONS",
    "CODES",
    "CODE_BYTES",
    "HISTORY_BYTES",
    "INGREDIENTS",
    "MANIFESTS",
    "TEXT_BYTES",
    "Action",
    "History",
    "Ingredient",
    "Manifest",
]

HISTORY_BYTES = 128 * 1024
"""Of one history as JSON, all non-ASCII characters escaped. The bounds below see to it that no manifest fills it alone."""

MANIFESTS = 40
ACTIONS = 24  # of one manifest
INGREDIENTS = 32  # of one manifest
CODES = 8  # of one manifest or ingredient
TEXT_BYTES = 300  # of one text, as JSON
CODE_BYTES = 64  # of one status code, as JSON


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was done: `c2pa.edited`, `when` (as written), with which software, giving which digital source type (IPTC term)."""

    name: str | None
    when: str | None = None
    agent: str | None = None
    source: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Something a file was made from.

    `names_manifest` says that it claims a manifest of its own; `manifest` is the number of that manifest, None when it is not in the
    file or was left out. `recorded` are the failure codes that the signer wrote down when taking the ingredient in.
    """

    relationship: str | None
    title: str | None = None
    format: str | None = None
    names_manifest: bool = False
    manifest: int | None = None
    recorded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """One signed statement. `state` is a word of `State`, for this manifest alone; `codes` are what the validator holds against it,
    and what it notes of the time-stamp. What was left out is counted.
    """

    label: str | None
    state: str
    title: str | None = None
    signer: str | None = None
    issuer: str | None = None
    signed_at: str | None = None
    time_stamped_by: str | None = None
    generator: str | None = None
    codes: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    left_out_actions: int = 0
    left_out_ingredients: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """The manifests of a file. `manifests[0]` is the active one; those nearest to the active one are kept first.

    Empty for a file without a manifest that can be read.
    """

    manifests: tuple[Manifest, ...] = ()
    left_out_manifests: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, at most `HISTORY_BYTES` when `tree.py` made the history; `from_json` gives back an equal object."""
        return {
            "manifests": [
                asdict(manifest)
                | {
                    "codes": list(manifest.codes),
                    "actions": [asdict(action) for action in manifest.actions],
                    "ingredients": [asdict(item) | {"recorded": list(item.recorded)} for item in manifest.ingredients],
                }
                for manifest in self.manifests
            ],
            "left_out_manifests": self.left_out_manifests,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> History:
        """The inverse of `to_json`. Raises ValueError, TypeError or KeyError for anything else."""
        manifests = tuple(_manifest(item) for item in value["manifests"])
        numbers = {item.manifest for manifest in manifests for item in manifest.ingredients} - {None}
        if not numbers <= set(range(1, len(manifests) + 1)):
            raise ValueError("an ingredient refers to a manifest that is not there")
        return cls(**{**value, "manifests": manifests})


def _manifest(value: Mapping[str, Any]) -> Manifest:
    return Manifest(
        **{
            **value,
            "codes": tuple(value["codes"]),
            "actions": tuple(Action(**action) for action in value["actions"]),
            "ingredients": tuple(Ingredient(**{**item, "recorded": tuple(item["recorded"])}) for item in value["ingredients"]),
        }
    )
