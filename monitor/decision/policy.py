"""A policy: what each signal weighs, and from where on a post is flagged.

Additive log-odds (the weight of evidence; Good 1950): risk = sigmoid(prior + Σ weight x strength). A policy file is
checked whole when it is read; every mistake is a `PolicyError` with its line. A policy's version is its
`version` word and a digest of the file, so that an edit without a new word still shows.
"""

from __future__ import annotations

import hashlib
import math
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from monitor.base.errors import PolicyError
from monitor.decision.facts import Facts, SignalCode, signals

# An unknown key explains the missing one beside it.
_TOLD_FIRST = {"extra_forbidden": 0, "missing": 2}

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weighing(_Strict):
    """A signal's weight in log-odds, and its sentence; `{placeholders}` are the fields of `Facts`."""

    weight: Annotated[Finite, Field(ge=-50, le=50)]
    text: str

    @field_validator("text")
    @classmethod
    def _known_placeholders(cls, text: str) -> str:
        known = set(Facts.__dataclass_fields__)
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise ValueError(f"the sentence is not a template: {error}") from error
        if unknown := used - known:
            raise ValueError(f"{{{min(unknown)}}} is not known; use {', '.join(sorted(known))}")
        return text


class MatchRule(_Strict):
    """When a likeness counts as found; see the comments in policy.yaml."""

    frames: Annotated[int, Field(ge=1, le=100)]
    threshold_z: Annotated[Finite, Field(gt=0, le=50)]
    frame_z: Annotated[Finite, Field(gt=0, le=50)]
    slope: Annotated[Finite, Field(gt=0, le=20)]
    clip_weight: Annotated[Finite, Field(ge=0, le=10)]

    def score(self, z: float) -> float:
        """A match's strength, in standard deviations above a stranger's, as a score from 0 to 1; 0.5 at the threshold."""
        return round(_sigmoid(max(-50.0, min(50.0, self.slope * (z - self.threshold_z)))), 4)


class LikenessClass(StrEnum):
    """What decides a route: who is shown."""

    DECEASED = "deceased"
    LIVING = "living"


class Route(_Strict):
    """Where a flagged post's case goes: a named queue, its priority (1 comes first), and the hours in which it should be decided."""

    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    priority: Annotated[int, Field(ge=1, le=9)]
    sla_hours: Annotated[Finite, Field(gt=0, le=24 * 365)]


FOUND = 0.5
"""The score from which on a likeness counts as found."""

_ROUTE = Route(queue="main", priority=5, sla_hours=72)


class Policy(_Strict):
    """A whole policy; immutable. `id` is what assessments name, `text` the file it was read from, comments and all."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    prior: Finite
    flag_at: Annotated[Finite, Field(gt=0, lt=1)]
    matching: MatchRule
    routes: dict[LikenessClass, Route] = Field(default_factory=lambda: dict.fromkeys(LikenessClass, _ROUTE))
    signals: dict[SignalCode, Weighing]
    digest: str = Field("", exclude=True)
    text: str = Field("", exclude=True, repr=False)

    @field_validator("signals")
    @classmethod
    def _complete(cls, weighings: dict[SignalCode, Weighing]) -> dict[SignalCode, Weighing]:
        if missing := set(SignalCode) - set(weighings):
            raise ValueError(f"{min(missing)} is missing; give it weight 0 to ignore it")
        return weighings

    @field_validator("routes")
    @classmethod
    def _every_class(cls, routes: dict[LikenessClass, Route]) -> dict[LikenessClass, Route]:
        if missing := set(LikenessClass) - set(routes):
            raise ValueError(f"{min(missing)} has no route")
        return routes

    @property
    def id(self) -> str:
        return f"{self.version}+{self.digest}"

    def route(self, facts: Facts) -> Route:
        """Where a case about these facts goes."""
        return self.routes[LikenessClass.LIVING if facts.deceased_on is None else LikenessClass.DECEASED]


@dataclass(frozen=True, slots=True)
class Reason:
    """A signal as a reviewer reads it; `weight` is what it added to the log-odds."""

    code: str
    weight: float
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """`risk` from 0 to 1 that the post misuses the likeness, and why, heaviest first."""

    risk: float
    flagged: bool
    reasons: tuple[Reason, ...]
    policy: str


def assess(facts: Facts, policy: Policy) -> Assessment:
    """Weigh the facts of one likeness in one post. Pure: equal facts and policy give an equal assessment."""
    words = _words(facts)
    reasons = [
        Reason(
            signal.code, round(policy.signals[signal.code].weight * signal.strength, 3), policy.signals[signal.code].text.format(**words)
        )
        for signal in signals(facts)
        if policy.signals[signal.code].weight
    ]
    risk = round(_sigmoid(policy.prior + sum(reason.weight for reason in reasons)), 4)
    return Assessment(risk, risk >= policy.flag_at, tuple(sorted(reasons, key=lambda r: -abs(r.weight))), policy.id)


def assess_again(facts: Facts, policy: Policy) -> Assessment:
    """As `assess`, for facts that were kept under another policy: this one's threshold and slope make the score anew.

    Below this one's threshold nobody is found. What its other rules of matching would change cannot be seen in facts.
    """
    if facts.z is None:
        return assess(facts, policy)
    score = policy.matching.score(facts.z)
    return assess(replace(facts, score=score), policy) if score >= FOUND else assess_nobody(policy)


def assess_nobody(policy: Policy) -> Assessment:
    """The assessment of a post in which no protected likeness was found."""
    return Assessment(round(_sigmoid(policy.prior), 4), False, (Reason("no_match", 0.0, "No protected likeness was found."),), policy.id)


def _words(facts: Facts) -> dict[str, str]:
    words = {name: "unknown" if value is None else str(value) for name, value in asdict(facts).items()}
    if facts.deceased_on is not None:
        words["deceased_on"] = f"{facts.deceased_on.day} {facts.deceased_on:%B %Y}"
    words["score"] = f"{facts.score:.2f}"
    words["mark_score"] = f"{facts.mark_score:.2f}"
    words["recorded"] = facts.recorded or "a trusted credential says that a camera recorded this"
    words["synthetic"] = "unknown" if facts.synthetic is None else f"{facts.synthetic:.2f}"
    words["seconds"] = f"{facts.seconds:.1f}"
    words["signer"] = f"signed by {facts.signer}" if facts.signer else "the signer is not named"
    return words


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


@lru_cache(maxsize=1)
def default_policy() -> Policy:
    """The policy Sosie ships."""
    return parse(resources.files("monitor.decision").joinpath("policy.yaml").read_text(encoding="utf-8"), "policy.yaml")


def load_policy(file: Path | None) -> Policy:
    """Read a policy file, or the shipped one for None. Raises `PolicyError` naming FILE:LINE."""
    if file is None:
        return default_policy()
    try:
        return parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(file, f"cannot be read: {error}", "Check SOSIE_POLICY; without it the shipped policy is used") from error


def parse(text: str, name: str, *, of_before: bool = False) -> Policy:
    """A policy from YAML text; `name` stands in errors. In one of an earlier release (`of_before`) newer signals weigh nothing."""
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PolicyError(f"{name}:{line}", f"is not YAML: {error.problem}", "Mend this line") from error
    except ReaderError as error:  # a control character, which no editor shows
        line = text.count("\n", 0, error.position) + 1
        next_step = "Save the file as plain text; `sosie policy show --shipped` prints the shipped policy as an example"
        raise PolicyError(f"{name}:{line}", f"is not YAML: {error.reason}", next_step) from error
    if not isinstance(tree, Mapping):
        raise PolicyError(f"{name}:1", "is not a policy: no settings in it", "Start from the shipped policy: `sosie policy show --shipped`")
    values = dict(tree)
    if of_before and isinstance(tree.get("signals"), Mapping):
        values["signals"] = {code.value: {"weight": 0, "text": ""} for code in SignalCode} | dict(tree["signals"])
    try:
        return Policy.model_validate(values | {"digest": hashlib.sha256(text.encode()).hexdigest()[:8], "text": text})
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: _TOLD_FIRST.get(e["type"], 1))
        path = [part for part in first["loc"] if part != "[key]"]
        raise PolicyError(f"{name}:{_line(tree, path)}", _reason(path, first), _next_step(path)) from None


def _reason(path: list[int | str], error: Any) -> str:
    where = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        return f"{where} is not a setting of a policy"
    if path[:1] == ["signals"] and error["type"] == "enum":
        return f"{path[-1]} is not a signal"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}"


def _next_step(path: list[int | str]) -> str:
    if path[:1] == ["routes"]:
        return f"A route has queue, priority and sla_hours; classes are {', '.join(LikenessClass)}"
    if path[:1] == ["signals"]:
        return f"Signals are: {', '.join(SignalCode)}"
    return "Mend this line; `sosie policy show --shipped` prints the shipped policy as an example"


def _line(tree: Any, path: list[int | str]) -> int:
    line = 1
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            break
        line = tree.lc.key(part)[0] + 1  # type: ignore[attr-defined]  # ruamel's mappings know their lines
        tree = tree[part]
    return line
