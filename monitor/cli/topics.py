"""`sosie topics create|list|lag`"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from monitor.base import settings
from monitor.cli.output import out, print_json

if TYPE_CHECKING:
    from streams.admin import Outcome, TopicState
    from streams.lag import PartitionLag

app = typer.Typer(help="Sosie's topics on Kafka, and how far the workers are behind.", no_args_is_help=True)
_DAY_MS = 24 * 3600 * 1000


@app.command()
def create(
    partitions: Annotated[int | None, typer.Option(min=1, max=10_000, help="Of the videos topic: the most slots that can be busy.")] = None,
    replication: Annotated[int | None, typer.Option(min=1, max=100, help="Of all topics; default: what the cluster says.")] = None,
    alter: Annotated[bool, typer.Option("--alter", help="Set retention and add partitions where an existing topic differs.")] = False,
) -> None:
    """Make the topics that are missing. What exists is left as it is, and what differs is told. Safe to run again."""
    from streams.admin import create_topics  # here, because the client takes its time to import

    for outcome in create_topics(settings.load(), partitions=partitions, replication=replication, alter=alter):
        _print_outcome(outcome)


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="One JSON object per topic and line.")] = False) -> None:
    """The topics, what they carry, and whether they exist."""
    from streams.admin import list_topics

    table = Table("Topic", "Carries", "Partitions", "Replication", "Kept", box=None, pad_edge=False)
    for state in list_topics(settings.load()):
        if json:
            print_json(_row(state))
        parts, copies = (str(state.partitions), str(state.replication)) if state.exists else ("–", "–")
        kept = _kept(state) if state.exists else "does not exist: `sosie topics create`"
        table.add_row(escape(state.name), escape(state.topic.carries), parts, copies, kept)
    if not json:
        out.print(table)


@app.command()
def lag(
    group: Annotated[str | None, typer.Option(help="Consumer group; default: that of the workers.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per partition and line.")] = False,
) -> None:
    """How many posts wait for the workers, and for how long the first of them does."""
    from streams.lag import lag as read

    found = read(settings.load(), group)
    if json:
        for each in found:
            print_json(_lag_row(each))
        return
    table = Table("Partition", "End", "Committed", "Events behind", "Seconds behind", "", box=None, pad_edge=False)
    for each in found:
        committed = "–" if each.committed is None else str(each.committed)
        table.add_row(str(each.partition), str(each.end), committed, str(each.events), _seconds(each.seconds), _note(each))
    out.print(table)
    ages = [each.seconds for each in found if not math.isnan(each.seconds)]
    behind, lost = sum(each.events for each in found), sum(each.lost for each in found)
    out.print(f"Total: {behind} events behind, up to {_seconds(max(ages, default=0.0))} s.")
    if lost:
        out.print(f"[bold red]{lost} events were lost:[/] retention deleted them before any worker had done them.")
        out.print("Submit them again, add workers, and keep more: see `sosie topics list`.")


def _print_outcome(outcome: Outcome) -> None:
    state = outcome.state
    name = escape(state.name)
    if outcome.action == "created":
        out.print(f"{name}: created, {state.partitions} partitions, {_kept(state)}")
    elif outcome.action == "altered":
        out.print(f"{name}: altered: {'; '.join(outcome.changes)}")
    else:
        out.print(f"{name}: exists{'' if outcome.differences else ', as it should be'}")
    for difference in outcome.differences:
        out.print(f"  [yellow]{escape(difference.what)}.[/] {escape(difference.next_step)}.")


def _row(state: TopicState) -> dict[str, object]:
    config = state.config or {}
    return {
        "topic": state.name,
        "carries": state.topic.carries.partition(":")[0],
        "exists": state.exists,
        "partitions": state.partitions if state.exists else None,
        "replication": state.replication if state.exists else None,
        "retention_ms": int(config["retention.ms"]) if "retention.ms" in config else None,
        "cleanup": config.get("cleanup.policy"),
    }


def _kept(state: TopicState) -> str:
    config = state.config or {}
    if "retention.ms" not in config:
        return "for a time that the brokers do not tell"
    text = "kept for ever" if (ms := int(config["retention.ms"])) < 0 else f"kept {ms / _DAY_MS:g} days"
    if (limit := int(config.get("retention.bytes", "-1"))) >= 0:
        text += f", at most {limit} bytes per partition"
    return text + (", compacted" if "compact" in config.get("cleanup.policy", "") else "")


def _lag_row(each: PartitionLag) -> dict[str, object]:
    return {
        "partition": each.partition,
        "earliest": each.earliest,
        "committed": each.committed,
        "end": each.end,
        "events": each.events,
        "seconds": None if math.isnan(each.seconds) else round(each.seconds, 3),
        "lost": each.lost,
    }


def _seconds(seconds: float) -> str:
    return "?" if math.isnan(seconds) else f"{seconds:.0f}"


def _note(each: PartitionLag) -> str:
    if each.lost:
        return f"[bold red]{each.lost} events lost to retention[/]"
    if each.made_anew:
        return "the topic was made anew since; reading begins at its start"
    return "never committed" if each.committed is None and each.end else ""
