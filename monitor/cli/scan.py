"""`sosie scan PATH|DIR|URL…`"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.base import settings
from monitor.base.errors import NotAVideo, NotFound, RequestRefused, SosieError, SosieFault
from monitor.cli.output import err, out, print_error, print_json
from monitor.intake.sniff import Kind, sniff
from monitor.provenance.sentences import sentences
from monitor.registry.territories import require
from monitor.review.videos import Post
from monitor.review.vocabulary import Verdict, clauses
from monitor.review.words import day
from monitor.scan.pipeline import Pipeline
from monitor.scan.report import write_report
from monitor.scan.report_entries import report_entry
from monitor.scan.result import Finding, Posted, ScanResult, clock_text, error_json, ranges_text
from monitor.scan.workshop import Workshop

Outcome = tuple[Posted, ScanResult | SosieError]


def scan(
    sources: Annotated[
        list[str], typer.Argument(metavar="PATH|DIR|URL…", help="Videos, folders of videos, http(s) addresses.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object per video and line.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a self-contained report.")] = None,
    account: Annotated[str | None, typer.Option(help="The account that posted the videos; consents are looked up by it.")] = None,
    platform: Annotated[str | None, typer.Option(help="The platform they were posted on.")] = None,
    posted_at: Annotated[datetime | None, typer.Option(help="When they were posted (UTC).")] = None,
    caption: Annotated[str | None, typer.Option(help="The caption they were posted with.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What they are for; consents may be limited to it.")] = None,
    territory: Annotated[str | None, typer.Option(help="Where they are shown: DE, US-CA (ISO 3166), EU; 001 for everywhere.")] = None,
    post: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The post's identity: one that is known is judged anew, in place of what was said of it."),
    ] = None,
) -> None:
    """Scan videos: provenance, matches, risk and reasons; flagged ones go to the review queue.

    Exits with 0 when all were scanned, 2 when some could not be, and 1, without going on, at a fault that is no video's.
    """
    when = posted_at.replace(tzinfo=UTC) if posted_at else None
    with Workshop(settings.load()) as workshop:
        found, refused = _expand(sources)
        known = {
            "account": account,
            "platform": platform,
            "posted_at": when,
            "caption": caption,
            "purpose": purpose,
            "territory": territory and require(territory, "--territory"),
        }
        posts = [Posted.of(source, **known) for source in found] if post is None else [_anew(workshop, found, post, known)]
        workers, keep_stills = workshop.settings.decode_workers, report is not None
        scanned = scan_all(workshop.pipeline, posts, workers=workers, keep_stills=keep_stills) if posts else ()
        reported: list[Outcome] = []  # with their pictures, so only where they are wanted
        failed = False
        for posted, outcome in chain(refused, scanned):
            failed |= isinstance(outcome, SosieError)
            if keep_stills:
                reported.append((posted, outcome))
            if json:
                print_json(error_json(posted.source, outcome) if isinstance(outcome, SosieError) else outcome.to_json())
            elif isinstance(outcome, SosieError):
                print_error(outcome)
            else:
                _print(outcome)
        if report is not None:
            write_report(report, [report_entry(workshop, posted, outcome) for posted, outcome in reported])
            err.print(f"Report: {report}")
    if failed:
        raise typer.Exit(2)


def _anew(workshop: Workshop, sources: Sequence[str], post: str, known: dict[str, Any]) -> Posted:
    """The post by an identity, with the details on record of that post. Raises `RequestRefused` for what would be another post."""
    if len(sources) != 1:
        raise RequestRefused("--post", f"is one post's identity, and {len(sources)} videos are given", "Scan one video at a time")
    with workshop.store.session(read_only=True) as session:
        stored = session.get(Post, post)
        if stored is None:
            return Posted(sources[0], post, **known)
        if any(value is not None for value in known.values()):
            raise RequestRefused(
                f"Post {post}", "is known, and what is on record of it counts", "Leave out --account and the other details"
            )
        return Posted(**{each.name: getattr(stored, each.name) for each in fields(Posted)} | {"source": sources[0]})


def scan_all(pipeline: Pipeline, posts: Sequence[Posted], *, workers: int, keep_stills: bool = False) -> Iterator[Outcome]:
    """Scan posts several at once; outcomes come in the order of the posts, with a progress bar on a terminal.

    Raises a `SosieFault`, and begins no other post then: every one of them would fail alike.
    """

    def one(posted: Posted) -> Outcome:
        try:
            return posted, pipeline.scan(posted, keep_stills=keep_stills)
        except SosieFault:
            raise
        except SosieError as error:
            return posted, error

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
        ThreadPoolExecutor(workers, thread_name_prefix="sosie-scan") as pool,
    ):
        task = progress.add_task("Scanning", total=len(posts))
        try:
            for outcome in pool.map(one, posts):
                progress.advance(task)
                yield outcome
        except BaseException:  # Ctrl+C, or nobody wants the rest: do not wait for what is being decoded
            pool.shutdown(wait=False, cancel_futures=True)
            pipeline.sandbox.close()
            raise


def _expand(sources: Sequence[str]) -> tuple[list[str], list[Outcome]]:
    """The sources to scan, and the folders that hold nothing to scan.

    Folders become the videos in them, known by content; everything else stays for the fetch to judge.
    """
    expanded: list[str] = []
    refused: list[Outcome] = []
    for source in sources:
        if "://" in source or not Path(source).is_dir():
            expanded.append(source)
            continue
        files = [Path(folder) / name for folder, _, names in os.walk(source) for name in names]
        videos = sorted(str(file) for file in files if file.is_file() and _may_be_video(file))
        if not videos:
            reason = f"the folder holds no video ({len(files)} files looked into)"
            refused.append((Posted.of(source), NotAVideo(source, reason, "Give a folder with videos, or the files themselves")))
        elif skipped := len(files) - len(videos):
            err.print(f"{escape(source)}: {len(videos)} videos; {skipped} other files left out")
        expanded += videos
    return expanded, refused


def _may_be_video(file: Path) -> bool:
    try:
        return sniff(file).kind is Kind.VIDEO
    except NotFound:  # it cannot be read: the scan will say why
        return True


def _print(result: ScanResult) -> None:
    mark = "[green]clear[/]"
    if result.flagged:
        mark = "[yellow]FLAGGED, covered by a verdict[/]" if result.covered else "[bold red]FLAGGED[/]"
    out.print(f"\n[bold]{escape(result.posted.source)}[/]  {mark}  risk {result.assessment.risk:.2f}  ({clock_text(result.duration_s)})")
    if result.truncated_at_s is not None:
        out.print(f"  Only the first {clock_text(result.truncated_at_s)} were scanned (SOSIE_MAX_HOURS).")
    for sentence in sentences(result.provenance)[:3]:
        out.print(f"  {escape(sentence)}")
    for seen in result.marks:
        out.print(f"  Visible mark: {escape(seen.shown_as)}, score {seen.score:.2f} ({ranges_text(seen.ranges)})")
    for finding in result.findings:
        spans = ", ".join(f"{clock_text(start)}–{clock_text(end)}" for start, end in finding.match.ranges)
        out.print(f"  Match: {escape(finding.name)}, score {finding.match.score:.2f}, {finding.match.frames} frames ({spans})")
        if finding.case_id:
            out.print(f"  Case {finding.case_id} {_became(finding)}")
    for reason in result.assessment.reasons:
        out.print(f"  {reason.weight:+.1f}  {escape(reason.text)}")


def _became(finding: Finding) -> str:
    """What became of the case a finding went to."""
    if (given := finding.covered_by) is not None:
        return f"joined; covered by its verdict of {day(given.decided_at)}: {Verdict(given.verdict).label.lower()}"
    if finding.case_reopened:
        return f"reopened: {clauses(finding.case_reopened)}"
    return "opened" if finding.case_opened else "joined"
