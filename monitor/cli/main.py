"""The command line's root: options for all commands, and errors told to people.

Exit status: 0 done; 1 refused or failed, with a sentence on stderr; 2 some videos could not be scanned, or the command was
misused; 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from monitor.base.errors import SosieError
from monitor.cli import (
    account,
    consent,
    dead_letters,
    demo,
    evidence,
    index,
    likeness,
    model,
    policy,
    probe,
    provenance,
    reconcile,
    repeat,
    scan,
    serve,
    settings,
    storage,
    submit,
    topics,
    trust,
    watermark,
    worker,
)
from monitor.cli.output import err, print_error

_INTERRUPTED = 130

app = typer.Typer(
    name="sosie",
    help="Finds misuse of protected likenesses in uploaded videos, and puts it before a reviewer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command(name="demo")(demo.demo)
app.command(name="scan")(scan.scan)
app.command(name="serve")(serve.serve)
app.command(name="provenance")(provenance.provenance)
app.command(name="settings")(settings.settings)
app.add_typer(likeness.app, name="likeness")
app.add_typer(consent.app, name="consent")
app.add_typer(model.app, name="model")
app.add_typer(index.app, name="index")
app.add_typer(storage.app, name="storage")
app.add_typer(policy.app, name="policy")
app.add_typer(account.app, name="account")
app.add_typer(evidence.app, name="evidence")
app.add_typer(topics.app, name="topics")
app.add_typer(trust.app, name="trust")
app.add_typer(watermark.app, name="watermark")
app.add_typer(probe.app, name="probe")
app.add_typer(dead_letters.app, name="dead-letters")
app.command(name="worker")(worker.worker)
app.command(name="reconcile")(reconcile.reconcile)
app.command(name="repeat")(repeat.repeat)
app.command(name="submit")(submit.submit)


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if os.environ.get("SOSIE_LOG_LEVEL", "").lower() not in ("debug", "info"):
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells every try; what they came to is told by our own errors
    try:
        app()
    except SosieError as error:
        print_error(error)
        sys.exit(1)
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # typer ends so on Ctrl+C, without a word
            err.print("interrupted; what was stored stays")
        raise
