"""The console behind a real nginx that speaks https, under a root path: with the configuration that docs/deploying.md gives."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from monitor.base import audit
from monitor.console.auth import SESSION_COOKIE
from monitor.console.signin import LIMIT_PER_NAME
from monitor.review import accounts
from monitor.review.accounts import Role
from monitor.review.cases import Moment
from tests.browser import CHROMIUM
from tests.monitor.console.desk import PASSWORD, Desk, csrf_of, picture
from tests.monitor.console.test_browser import serving
from tests.nginx import running_nginx
from tests.streams.authority import Authority, Credentials

DOCS = Path(__file__).parents[3] / "docs" / "deploying.md"
NAME = "queue.localhost"  # browsers take it for loopback, the console does not
TOKEN = "a token of sixteen or more"


@dataclass(frozen=True)
class Public:
    """nginx before the console of `desk`: `https://NAME:port/sosie` to browsers, 127.0.0.1 to clients that send Host themselves."""

    desk: Desk
    console: str
    port: int
    authority: Path

    @property
    def address(self) -> str:
        return f"https://{NAME}:{self.port}/sosie"

    def client(self, source: str = "127.0.0.1", host: str = NAME) -> httpx.Client:
        """One who comes from another address of this machine than nginx does to the console."""
        context = ssl.create_default_context(cafile=str(self.authority))
        transport = httpx.HTTPTransport(verify=context, local_address=source)
        return httpx.Client(base_url=f"https://127.0.0.1:{self.port}/sosie", headers={"Host": f"{host}:{self.port}"}, transport=transport)

    def straight(self, source: str, root_path: str = "/sosie") -> httpx.Client:
        """Past nginx, to the console's own port."""
        return httpx.Client(base_url=f"{self.console}{root_path}", transport=httpx.HTTPTransport(local_address=source))

    def trail(self) -> list[tuple[str, str]]:
        with self.desk.store.session(read_only=True) as session:
            events = audit.latest(session)
        return [(event.action, event.detail["address"]) for event in reversed(events) if "address" in event.detail]


def documented(console: str, credentials: Credentials, port: int, *, strips: bool) -> str:
    """The server block of docs/deploying.md, with this test's name, port, certificate and console."""
    (block,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    for written, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("queue.example.org", NAME),
        ("/etc/nginx/queue.pem", str(credentials.certificate)),
        ("/etc/nginx/queue.key", str(credentials.key)),
        ("http://127.0.0.1:8000;", f"{console}{'/' if strips else ''};"),
    ):
        assert written in block
        block = block.replace(written, ours)
    return block


@contextlib.contextmanager
def published(desk: Desk, folder: Path, *, strips: bool = False) -> Iterator[Public]:
    authority = Authority(folder / "certificates", "authority")
    credentials = authority.issue("nginx")
    given = {"SOSIE_SERVE_NAMES": NAME, "SOSIE_SERVE_PROXIES": "127.0.0.1", "SOSIE_SERVE_ROOT_PATH": "/sosie", "SOSIE_METRICS_TOKEN": TOKEN}
    with (
        serving(desk, desk.configured(given)) as console,
        running_nginx(folder / "nginx", lambda port: documented(console, credentials, port, strips=strips)) as port,
    ):
        yield Public(desk, console, port, authority.file)


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts._hash_of_nobody.cache_clear()


@pytest.fixture
def case(desk: Desk) -> str:
    likeness = desk.likeness()
    picture(desk.home / "evidence" / "c" / "0.jpg")
    with desk.store.session() as session:
        accounts.create_account(session, "ana", PASSWORD, role=Role.REVIEWER, actor="test", now=desk.clock())
    return desk.case(likeness, moments=[Moment(1.5, 0.8, desk.reference(likeness), "evidence/c/0.jpg", (0.2, 0.1, 0.6, 0.7))])


@pytest.fixture
def public(desk: Desk, case: str, tmp_path: Path) -> Iterator[Public]:
    with published(desk, tmp_path) as made:
        yield made


def sign_in(client: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    form = client.get("/sign-in", headers=headers)
    data = {"csrf_token": csrf_of(form.text), "name": "ana", "password": password}
    return client.post("/sign-in", data=data, headers=headers)


def addresses(html: str) -> set[str]:
    """Every address of this server that a page names."""
    found = set(re.findall(r'(?:href|src|action|formaction|data-renew)="([^"#]+)"', html))
    return {each for each in found if not each.startswith(("http://", "https://"))}


@pytest.mark.parametrize("strips", [False, True], ids=["the proxy keeps the root path", "the proxy takes the root path away"])
def test_sign_in_claim_decide_pictures_and_sign_out(desk: Desk, case: str, tmp_path: Path, strips: bool) -> None:
    with published(desk, tmp_path, strips=strips) as public, public.client() as client:
        start = client.get("/", headers={"Accept": "text/html"})
        assert (start.status_code, start.headers["location"]) == (303, "/sosie/sign-in?next=/")
        signed_in = sign_in(client)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/sosie/queue")
        cookie = next(each for each in signed_in.headers.get_list("set-cookie") if SESSION_COOKIE in each)
        assert cookie.startswith(f"__Secure-{SESSION_COOKIE}=")
        assert {"Secure", "HttpOnly", "Path=/sosie", "SameSite=lax"} <= set(cookie.split("; "))

        queue, page = client.get("/queue"), client.get(f"/cases/{case}")
        for told in (queue, page, client.get("/api/docs"), client.get("/nowhere")):
            assert all(each.startswith("/sosie/") for each in addresses(told.text)), addresses(told.text)
        links = {each for html in (queue.text, page.text) for each in re.findall(r'(?:href|src)="(/[^"#]+)"', html)}
        assert {f"/sosie/cases/{case}", f"/sosie/cases/{case}/stills/0", "/sosie/static/sosie.css"} <= links
        outside = str(client.base_url).removesuffix("/sosie/")
        assert {each: client.get(outside + each).status_code for each in links} == dict.fromkeys(links, 200)
        told = client.get(f"/api/cases/{case}").json()["moments"][0]
        for address in (told["still"], told["reference"]):
            assert client.get(outside + address).headers["content-type"] == "image/jpeg"
        assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/sosie"}]

        data = {"csrf_token": csrf_of(queue.text)}
        assert client.post(f"/cases/{case}/claim", data=data).headers["location"] == f"/sosie/cases/{case}"
        verdict = data | {"token": str(desk.token(case)), "verdict": "parody", "reason": "a sketch", "then": "next"}
        assert client.post(f"/cases/{case}/verdict", data=verdict).headers["location"] == "/sosie/queue?said=recorded"
        assert desk.state(case) == "decided"
        assert client.post("/sign-out", data=data).headers["location"] == "/sosie/sign-in"
        assert client.get("/queue").status_code == 401
        assert not any(SESSION_COOKIE in each.name for each in client.cookies.jar)


def test_another_host_name_is_refused(public: Public) -> None:
    for host in ("evil.example", "localhost.evil.example", f"x.{NAME}"):
        with public.client(host=host) as client:
            assert client.get("/sign-in").status_code == 421


def test_what_a_client_says_of_itself_counts_for_nothing(public: Public) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=203.0.113.7",
    }
    with public.client("127.0.0.2") as client:
        assert sign_in(client, "wrong", **forged).status_code == 401
        assert "; Secure" in sign_in(client, **forged).headers["set-cookie"]
    assert public.trail() == [("account.sign_in_failed", "127.0.0.2"), ("account.signed_in", "127.0.0.2")]


def test_a_peer_that_is_no_trusted_proxy_is_not_believed(public: Public) -> None:
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": NAME}
    with public.straight("127.0.0.9") as client:
        assert sign_in(client, "wrong", **forged).status_code == 401
        cookies = sign_in(client, **forged).headers.get_list("set-cookie")
        assert cookies[0].startswith(f"{SESSION_COOKIE}=")
        assert "; Secure" not in cookies[0]
        assert client.get("/queue", headers=forged | {"Host": "evil.example"}).status_code == 421
    assert public.trail() == [("account.sign_in_failed", "127.0.0.9"), ("account.signed_in", "127.0.0.9")]


def test_two_clients_behind_the_proxy_are_throttled_apart(public: Public) -> None:
    with public.client("127.0.0.2") as guesser, public.client("127.0.0.3") as ana:
        for number in range(LIMIT_PER_NAME):
            assert sign_in(guesser, "wrong", **{"X-Forwarded-For": f"203.0.113.{number}"}).status_code == 401
        assert sign_in(guesser).status_code == 429
        assert sign_in(ana).status_code == 303
    expected = [("account.sign_in_failed", "127.0.0.2")] * LIMIT_PER_NAME
    assert public.trail() == [*expected, ("account.sign_in_throttled", "127.0.0.2"), ("account.signed_in", "127.0.0.3")]


def test_machines_ask_for_health_by_address_and_for_metrics_with_the_token(public: Public) -> None:
    with public.straight("127.0.0.1", "") as kubelet:
        for path in ("/health", "/health/live", "/health/ready", "/sosie/health/ready"):
            assert kubelet.get(path, headers={"Host": "10.1.2.3:8000"}).json()["status"] == "ok"
        assert kubelet.get("/metrics").status_code == 200, "a scraper on this machine"
    with public.client("127.0.0.2") as client:
        assert client.get("/metrics").status_code == 401, "nginx is on this machine, who asks it is not"
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.browser
def test_the_whole_path_in_a_browser(public: Public, case: str, browser: Any) -> None:
    assert CHROMIUM
    context = browser.new_context(ignore_https_errors=True)  # this authority is the test's own
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(f"{public.address}/") else complaints.append(f"outside: {sent.url}"))

    page.goto(f"{public.address}/")
    page.fill("#name", "ana")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('Queue')")
    (cookie,) = [each for each in context.cookies() if SESSION_COOKIE in each["name"]]
    assert (cookie["name"], cookie["path"], cookie["secure"]) == (f"__Secure-{SESSION_COOKIE}", "/sosie", True)

    page.click(".queue a.open")
    page.wait_for_url(f"**/sosie/cases/{case}", wait_until="load")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    page.click("text=Claim")
    page.wait_for_selector(".countdown")
    page.wait_for_load_state("load")
    renew = "document.querySelector('.countdown').dataset.renew"
    assert page.evaluate(renew) == f"/sosie/api/cases/{case}/renew"
    page.check("input[value=parody]")
    page.fill("#reason", "A sketch show")
    page.click("text=Record verdict")
    page.wait_for_selector("text=Your verdict is recorded.")
    assert public.desk.state(case) == "decided"

    page.wait_for_load_state("load")
    page.locator("body").press("q")
    page.wait_for_url("**/sosie/queue", wait_until="load")
    page.click("text=Sign out")
    page.wait_for_url("**/sosie/sign-in")
    assert not any(SESSION_COOKIE in each["name"] for each in context.cookies())
    context.close()
    assert complaints == []
