"""`sosie submit URI…`"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.base import settings
from monitor.base.errors import MessageRefused
from monitor.base.settings import Settings
from monitor.cli.output import err, out, print_error, print_json

if TYPE_CHECKING:
    from streams.submission import CheckedPost, Faults, Posts

_STDIN = Path("-")


def submit(
    uris: Annotated[
        list[str] | None, typer.Argument(metavar="URI…", help="http(s) and file addresses, or paths of files.", show_default=False)
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE.ndjson|-", help="One JSON object per line, with the fields of a post.")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="The platform they were posted on.")] = None,
    account: Annotated[str | None, typer.Option(help="The account that posted them.")] = None,
    posted_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            help="When they were posted (UTC, where no offset is given).",
        ),
    ] = None,
    caption: Annotated[str | None, typer.Option(help="The caption they were posted with.")] = None,
    views: Annotated[int | None, typer.Option(min=0, help="How often they were seen.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What they are for; consents may be limited to it.")] = None,
    territory: Annotated[
        str | None, typer.Option(help="The country they are shown in (ISO 3166-1, such as DE); 001 for everywhere.")
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="The post's identity, with one URI alone; default: from platform and URI.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, send nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per post and line: id and uri.")] = False,
) -> None:
    """Hand posts to the workers, through Kafka. Everything is checked first: one line that cannot be used, and nothing is sent.

    The same post again makes nothing twice, so a submission that was interrupted may be repeated. Options are defaults for the
    lines of --from, whose own fields win.
    """
    if not uris and source is None:
        raise typer.BadParameter("Give URIs, or lines with --from.")
    if id_ is not None and (source is not None or uris is None or len(uris) != 1):
        raise typer.BadParameter("--id goes with exactly one URI, because it is the identity of one post.")
    from streams.connection import require_brokers  # here, because the client takes its time to import
    from streams.submission import Faults, Posts

    configured = settings.load()
    if not dry_run:
        require_brokers(configured)
    if posted_at is not None and posted_at.tzinfo is None:
        posted_at = posted_at.replace(tzinfo=UTC)
    options = {
        "platform": platform,
        "account": account,
        "posted_at": posted_at,
        "caption": caption,
        "views": views,
        "purpose": purpose,
        "territory": territory,
        "id": id_,
    }
    known = {name: value for name, value in options.items() if value is not None}
    faults = Faults()
    with Posts() as posts:
        _check(uris or [], source, known, posts, faults)
        _refuse(faults, among=posts.count + faults.count)
        if posts.repeated:
            err.print(f"{posts.repeated} posts came more than once; each is sent once.")
        if posts.files:
            err.print(f"{posts.files} posts are files: workers read them only below the folder that SOSIE_WORKER_FILES names.")
        if dry_run:
            _tell(list(posts) if json else [], json)
            (err if json else out).print(f"{posts.count} posts can be submitted; nothing was sent.")
        else:
            _send(configured, posts, json)


def _check(uris: list[str], source: Path | None, known: dict[str, Any], posts: Posts, faults: Faults) -> None:
    from streams.submission import check_addresses, check_lines, opened

    with ExitStack() as stack:
        if err.is_terminal:
            stack.enter_context(err.status("Checking"))
        check_addresses(uris, known, posts, faults)
        if source == _STDIN:
            check_lines(sys.stdin.buffer, "stdin", known, posts, faults)
        elif source is not None:
            check_lines(stack.enter_context(opened(source)), str(source), known, posts, faults)


def _refuse(faults: Faults, *, among: int) -> None:
    if among == faults.count == 1:
        raise faults.first[0]
    for fault in faults.first:
        print_error(fault)
    if faults.count:
        more = f", the first {len(faults.first)} of them above" if faults.count > len(faults.first) else ""
        raise MessageRefused(
            "Submission", f"{faults.count} of {among} posts cannot be used{more}; nothing was sent", "Mend them and submit all again"
        )


def _send(configured: Settings, posts: Posts, json: bool) -> None:
    from streams.submit import submit as send
    from streams.topics import VIDEOS

    sent = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("Submitting", total=posts.count)

        def confirmed(batch: list[CheckedPost]) -> None:
            nonlocal sent
            sent += len(batch)
            progress.advance(task, len(batch))
            _tell(batch, json)

        try:
            send(configured, posts, confirmed)
        except BaseException:
            progress.stop()
            err.print(f"{sent} of {posts.count} posts were confirmed. Submit all of them again: what has arrived makes nothing twice.")
            raise
    (err if json else out).print(f"{sent} posts were submitted to {VIDEOS.name(configured.kafka_prefix)}.")


def _tell(batch: list[CheckedPost], json: bool) -> None:
    if json:
        for post in batch:
            print_json({"id": post.id, "uri": post.uri})
