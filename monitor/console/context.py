"""The parts that the endpoints of one console share, and how a page is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import Depends, Request
from starlette.responses import HTMLResponse

from monitor.base.blobs import Blobs
from monitor.base.database import Store
from monitor.base.exposition import Exposition
from monitor.base.settings import Settings
from monitor.console import origin
from monitor.console.auth import Door
from monitor.console.mounting import inner_path
from monitor.console.throttle import Throttle
from monitor.review import trail, words

HERE = Path(__file__).parent


def make_templates(root_path: str) -> jinja2.Environment:
    """The environment of the templates, which escapes everything; a name a template uses and nobody gave is an error, not an empty string.

    `root` is for every address a template writes, macros' too: `{{ root }}/queue`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | trail.FILTERS | origin.FILTERS
    environment.globals |= origin.GLOBALS | {"root": root_path}
    return environment


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that the endpoints of one console share, made once by `create_app`. Thread-safe."""

    settings: Settings
    store: Store
    blobs: Blobs
    exposition: Exposition
    clock: Callable[[], datetime]
    door: Door
    throttle: Throttle
    templates: jinja2.Environment

    @property
    def root(self) -> str:
        """The beginning of every address that the console gives; empty, or such as `/sosie`."""
        return self.settings.serve_root_path

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render `template` for whoever `require` found behind the request."""
        principal = getattr(request.state, "principal", None)
        html = self.templates.get_template(template).render(path=inner_path(request), principal=principal, now=self.clock(), **values)
        return HTMLResponse(html, status)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
