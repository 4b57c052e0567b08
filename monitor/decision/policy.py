"""A policy: what each signal weighs, and from where on a post is flagged.

Additive log-odds (the weight of evidence; Good 1950): risk = sigmoid(prior + Σ weight x strength). A policy file is
checked whole when it is read; every mistake is a `PolicyError` with its line and column. A policy's version is its
`version` word and a digest of the file, so that an edit without a new word still shows.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tokens import ScalarToken

from monitor.base.errors import PolicyError
from monitor.decision.facts import EXONERATES, INCRIMINATES, Facts, SignalCode, signals
from monitor.decision.sentence import mistake_in, words_of, written
from monitor.review.vocabulary import Difference, Verdict

# An unknown key explains the missing one beside it.
_TOLD_FIRST = {"extra_forbidden": 0, "missing": 2}


def _of_before(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get("of_before"))


def _number(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str | bool) and not _of_before(info):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    return value


Finite = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_number)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weighing(_Strict):
    """A signal's weight in log-odds, and its sentence; `{placeholders}` are the fields of `Facts`."""

    weight: Annotated[Finite, Field(ge=-50, le=50)]
    text: str

    @field_validator("text")
    @classmethod
    def _template(cls, text: str, info: ValidationInfo) -> str:
        if mistake := mistake_in(text, of_before=_of_before(info)):
            raise ValueError(mistake[1])
        return text


class MatchRule(_Strict):
    """When a likeness counts as found; see the comments in policy.yaml."""

    frames: Annotated[Whole, Field(ge=1, le=100)]
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
    priority: Annotated[Whole, Field(ge=1, le=9)]
    sla_hours: Annotated[Finite, Field(gt=0, le=24 * 365)]


FOUND = 0.5
"""The score from which on a likeness counts as found."""

_ROUTE = Route(queue="main", priority=5, sla_hours=72)

AFTER_VERDICT: Mapping[Verdict, frozenset[Difference]] = {
    verdict: frozenset(Difference) if verdict.is_about_use else frozenset() for verdict in Verdict
}
"""Of a policy that says nothing of it: what is found of the content carries over; what is found of the use, to the same use alone."""


class Policy(_Strict):
    """A whole policy; immutable. `id` is what assessments name, `text` the file it was read from, comments and all."""

    version: Annotated[str, Field(min_length=1, max_length=40)]
    prior: Finite
    flag_at: Annotated[Finite, Field(gt=0, lt=1)]
    matching: MatchRule
    routes: dict[LikenessClass, Route] = Field(default_factory=lambda: dict.fromkeys(LikenessClass, _ROUTE))
    after_verdict: dict[Verdict, frozenset[Difference]] = Field(default_factory=lambda: dict(AFTER_VERDICT))
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

    @field_validator("after_verdict")
    @classmethod
    def _every_verdict(cls, table: dict[Verdict, frozenset[Difference]]) -> dict[Verdict, frozenset[Difference]]:
        if missing := set(Verdict) - set(table):
            raise ValueError(f"{min(missing)} has no row; give it [] to have it cover every later post")
        return table

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
    """A risk and its reasons: `risk` from 0 to 1 that the post misuses the likeness, and why, heaviest first."""

    risk: float
    flagged: bool
    reasons: tuple[Reason, ...]
    policy: str


def assess(facts: Facts, policy: Policy) -> Assessment:
    """Weigh the facts of one likeness in one post. Pure: equal facts and policy give an equal assessment."""
    words = words_of(facts)
    reasons = [Reason(code, weight, written(policy.signals[code].text, words)) for code, weight in _weighed(facts, policy)]
    risk = _risk(policy, sum(reason.weight for reason in reasons))
    return Assessment(risk, risk >= policy.flag_at, tuple(sorted(reasons, key=lambda r: -abs(r.weight))), policy.id)


def _weighed(facts: Facts, policy: Policy) -> list[tuple[SignalCode, float]]:
    """What each signal that weighs anything adds to the log-odds."""
    weights = ((signal, policy.signals[signal.code].weight) for signal in signals(facts))
    return [(signal.code, round(weight * signal.strength, 3)) for signal, weight in weights if weight]


def _risk(policy: Policy, evidence: float) -> float:
    return round(_sigmoid(policy.prior + evidence), 4)


def assess_again(facts: Facts, policy: Policy) -> Assessment:
    """Assess facts that were kept under another policy: the threshold and slope of `policy` make the score anew.

    Below this one's threshold nobody is found. What its other rules of matching would change cannot be seen in facts.
    """
    if facts.z is None:
        return assess(facts, policy)
    score = policy.matching.score(facts.z)
    return assess(replace(facts, score=score), policy) if score >= FOUND else assess_nobody(policy)


def assess_nobody(policy: Policy) -> Assessment:
    """The assessment of a post in which no protected likeness was found."""
    return Assessment(_risk(policy, 0.0), False, (Reason("no_match", 0.0, "No protected likeness was found."),), policy.id)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


@lru_cache(maxsize=1)
def default_policy() -> Policy:
    """The policy Sosie ships."""
    return parse(resources.files("monitor.decision").joinpath("policy.yaml").read_text(encoding="utf-8"), "policy.yaml")


def load_policy(file: Path | None) -> Policy:
    """Read a policy file, or the shipped one for None. Raises `PolicyError` naming FILE:LINE:COLUMN."""
    if file is None:
        return default_policy()
    try:
        content = file.read_bytes()
        return parse(content.decode("utf-8"), str(file))
    except OSError as error:
        raise PolicyError(file, f"cannot be read: {error.strerror}", "Check the path, and SOSIE_POLICY if it names this file") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise PolicyError(f"{file}:{line}:{column}", "is not UTF-8", "Save the file as UTF-8") from error


def parse(text: str, name: str, *, of_before: bool = False) -> Policy:
    """A policy from YAML text; `name` stands in errors, with line and column. Raises `PolicyError`.

    In a stored one of an earlier release (`of_before`) newer signals weigh nothing, and what that release did not check is taken as
    it is: `assess` raises for none. A policy that is taken otherwise flags some videos, and not all in which somebody is found.
    """
    try:
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{name}:1:1"
        if isinstance(error, DuplicateKeyError) and (twice := re.match(r'found duplicate key "([^"]*)"', str(error.problem))):
            raise PolicyError(place, f"{twice[1]} stands here a second time", "Keep one of the two") from error
        raise PolicyError(place, f"is not YAML: {error.problem or error.context}", "Mend this line") from error
    except (YAMLError, ValueError, TypeError, AttributeError, NotImplementedError, AssertionError, LookupError, RecursionError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__  # ruamel.yaml: in the words of Python
        plain = "Save the file as plain text; `sosie policy show --shipped` prints the shipped policy as an example"
        next_step = plain if isinstance(error, ReaderError) else "Mend this place"  # a control character, which no editor shows
        raise PolicyError(f"{name}:{_unread(text, error)}", f"is not YAML: {told}", next_step) from error
    if not isinstance(tree, Mapping):
        raise PolicyError(
            f"{name}:1:1", "is not a policy: no settings in it", "Start from the shipped policy: `sosie policy show --shipped`"
        )
    values = dict(tree)
    if of_before and isinstance(tree.get("signals"), Mapping):
        values["signals"] = {code.value: {"weight": 0, "text": ""} for code in SignalCode} | dict(tree["signals"])
    values |= {"digest": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8], "text": text}
    try:
        policy = Policy.model_validate(values, context={"of_before": of_before})
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda e: _TOLD_FIRST.get(e["type"], 1))
        path = [part for part in first["loc"] if part != "[key]"]
        raise PolicyError(f"{name}:{_place(tree, path, first, text)}", _reason(path, first), _next_step(path)) from None
    if not of_before:
        for setting, reason, next_step in _senseless(policy):
            raise PolicyError(f"{name}:{_place(tree, setting, {}, text)}", f"{'.'.join(setting)}: {reason}", next_step)
    return policy


def _senseless(policy: Policy) -> Iterator[tuple[Sequence[str], str, str]]:
    """The settings that are well written and make no sense, by themselves or together: where, why, and the next step."""
    rule, at = policy.matching, policy.flag_at
    if not policy.version.isprintable():
        yield ["version"], f"{policy.version!a} cannot be shown", "Use letters, digits and points"
    if rule.frame_z > rule.threshold_z:
        reason = f"{rule.frame_z:g} is above threshold_z, {rule.threshold_z:g}: a likeness would be found, and no moment shown"
        yield ["matching", "frame_z"], reason, f"Give at most {rule.threshold_z:g}"
    for codes, sign, says in ((EXONERATES, -1, "against"), (INCRIMINATES, 1, "for")):
        for code in sorted(codes):
            if (weight := policy.signals[code].weight) * sign < 0:
                yield ["signals", code, "weight"], f"{weight:+g}, but {code} can only speak {says} misuse", f"Give {-weight:+g}, or 0"
    if (nobody := assess_nobody(policy).risk) >= at:
        reason = f"a video in which nobody is found has risk {nobody:g}, which is not below flag_at, {at:g}"
        yield ["prior"], reason, "Lower the prior, or raise flag_at"
    most, least = (
        pick(_risk(policy, sum(weight for _, weight in _weighed(facts, policy))) for facts in _extremes(policy, sign))
        for pick, sign in ((max, 1), (min, -1))
    )
    if most < at:
        reason = f"nothing is ever flagged: with all evidence there can be the risk is {most:g}"
        yield ["flag_at"], reason, "Lower flag_at, or raise the prior or the weights"
    if least >= at:
        reason = f"whoever is found is flagged, licensed and recorded by a camera or not: the least risk is {least:g}"
        yield ["flag_at"], reason, "Raise flag_at, or lower the prior or the weights"


def _extremes(policy: Policy, sign: int) -> Iterator[Facts]:
    """Facts among which are those of the highest risk (`sign` 1) or the lowest (-1) under a policy, for anybody who was found."""

    def wanted(code: SignalCode) -> float:
        return sign * policy.signals[code].weight

    licence = max((wanted(SignalCode.CONSENT), "c", None), (wanted(SignalCode.CONSENT_EXCEEDED), None, "b"), (0.0, None, None), key=_first)
    free = Facts(
        name="{N}",
        deceased_on=None,
        score=1.0 if wanted(SignalCode.FACE_MATCH) > 0 else FOUND,
        frames=100 if wanted(SignalCode.PERSISTENT_MATCH) > 0 else 1,
        seconds=0.0,
        ranges="",
        state="absent",
        ai="unknown",
        signer=None,
        trust_list=None,
        account=None,
        consent=licence[1],
        breach=licence[2],
        stripped="s" if wanted(SignalCode.STRIPPED) > 0 else None,
        synthetic=1.0 if wanted(SignalCode.SYNTHETIC_PROBE) > 0 else None,
        mark_score=1.0,
    )
    marks = ((None, None), ("w", None), ("w", "r"))
    for state, ai, metadata_ai, (mark, recorded), died in product(
        ("absent", "trusted", "tampered", "revoked"), ("unknown", "fully", "partly", "may", "captured"), ("unknown", "fully", "partly"),
        marks, (None, date.min),
    ):  # fmt: skip
        yield replace(free, state=state, ai=ai, metadata_ai=metadata_ai, watermark=mark, recorded=recorded, deceased_on=died)


def _first(choice: tuple[float, str | None, str | None]) -> float:
    return choice[0]


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
    if path[:1] == ["after_verdict"]:
        return f"A row is a verdict ({', '.join(Verdict)}) and a list of differences ({', '.join(Difference)})"
    if path[:1] == ["signals"] and path[2:] == ["text"]:
        return "Write a sentence with plain placeholders, such as {name}"
    if path[:1] == ["signals"] and path[2:] == ["weight"]:
        return "Give log-odds from -50 to 50; 0 ignores the signal"
    if path[:1] == ["signals"]:
        return f"Signals are: {', '.join(SignalCode)}"
    return "Mend this line; `sosie policy show --shipped` prints the shipped policy as an example"


def _place(tree: Any, path: Sequence[int | str], error: Any, text: str) -> str:
    """LINE:COLUMN, from 1, of a mistake: of the value, of a key that should not be there, or of the nearest key above a missing one."""
    line, column = 0, 0
    for depth, part in enumerate(path, 1):
        if not isinstance(tree, CommentedMap) or part not in tree.lc.data:
            break
        of_key = error.get("type") in {"extra_forbidden", "missing", "enum"} or isinstance(tree[part], CommentedMap)
        at_key = depth < len(path) or of_key
        line, column = (tree.lc.key if at_key else tree.lc.value)(part)
        tree = tree[part]
    if isinstance(tree, str) and (mistake := mistake_in(tree)):  # a sentence: where in it
        for number, written_line in enumerate(text.split("\n")[line:], line):
            if (found := written_line.find(mistake[0], column if number == line else 0)) >= 0:
                return f"{number + 1}:{found + 1}"
    return f"{line + 1}:{column + 1}"


def _unread(text: str, error: Exception) -> str:
    """LINE:COLUMN of text that ruamel.yaml cannot read without saying where: a character, or a scalar such as the date 2001-99-99."""
    at = error.position if isinstance(error, ReaderError) else 0
    if not isinstance(error, YAMLError | RecursionError):
        for token in YAML(typ="rt", pure=True).scan(text):
            if isinstance(token, ScalarToken) and token.plain:
                try:
                    YAML(typ="rt", pure=True).load(token.value)
                except ValueError:
                    at = token.start_mark.index
                    break
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"
