"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from monitor.base.errors import SosieError

# As wide as any table: cells are never folded, so that ids can be copied and lines searched. The terminal wraps.
# Without emoji, because `:100:` may be the middle of an id.
out = Console(highlight=False, soft_wrap=True, width=10_000, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any) -> None:
    """One JSON object on one line, unstyled."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_error(error: SosieError) -> None:
    err.print(f"[bold red]sosie:[/] {escape(str(error))}")
