"""The root path: every address the console writes has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from monitor.base.errors import ConfigError
from monitor.console import app
from monitor.console.app import create_app
from tests.monitor.console.desk import Desk

CONSOLE = Path(app.__file__).parent


def mounted(desk: Desk, root: str) -> TestClient:
    made = create_app(desk.configured({"SOSIE_SERVE_ROOT_PATH": root}), desk.store, registry=CollectorRegistry(), clock=desk.clock)
    return TestClient(made, "http://localhost", follow_redirects=False, raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/static/sosie.css", "/sign-in", "/health/ready"])
def test_a_path_with_the_root_path_and_one_without_are_the_same_page(desk: Desk, path: str) -> None:
    client = mounted(desk, "/a/sosie")
    assert client.get(path).status_code == client.get(f"/a/sosie{path}").status_code == 200
    assert client.get(f"/b{path}").status_code == 404


def test_the_root_itself_leads_to_the_sign_in_page(desk: Desk) -> None:
    client = mounted(desk, "/sosie")
    for path in ("/sosie", "/sosie/", "/"):
        assert client.get(path, headers={"Accept": "text/html"}).headers["location"] == "/sosie/sign-in?next=/"


def test_problems_are_told_to_programs_as_json_and_to_people_as_a_page(desk: Desk) -> None:
    client = mounted(desk, "/sosie")
    assert client.get("/sosie/api/cases").headers["content-type"] == "application/problem+json"
    assert "text/html" in client.get("/sosie/nowhere").headers["content-type"]


@pytest.mark.parametrize("root", ["/cases", "/static/x", "/api", "/health"])
def test_a_root_path_that_is_an_address_of_our_own_is_refused(desk: Desk, root: str) -> None:
    with pytest.raises(ConfigError, match=r"SOSIE_SERVE_ROOT_PATH: /\w+ is an address of the console's own"):
        mounted(desk, root)


def test_no_template_and_no_redirect_forgets_the_root_path() -> None:
    forgotten = [
        f"{file.name}: {found}"
        for pattern, files in (
            (r'(?:href|src|action|formaction|data-\w+)="/[^"]*', (CONSOLE / "templates").glob("*.html")),
            (r'RedirectResponse\(\s*f?"/[^"]*', CONSOLE.glob("*.py")),
            (r'(?:fetch|assign|open)\(["\'`]/[^)]*', (CONSOLE / "static").glob("*.js")),
        )
        for file in files
        for found in re.findall(pattern, file.read_text())
    ]
    assert forgotten == []
