"""A worker and a reviewer of the last release, run by its code: one JSON command per line of stdin, one JSON answer per line of stdout.

Imports as they were at that release, so only `test_last_release.py` starts it, with PYTHONPATH at that release's files. It prepares its
home and opens its pipeline first, as a worker does, and from then on only runs.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

REVIEWER = "ana of the last release"


def main() -> None:
    from monitor import demo, settings, store  # here: decoding processes import this file, and need none of them
    from monitor.cast.roster import MOURNED
    from monitor.result import Posted
    from monitor.review import cases, queue, verdicts
    from monitor.workshop import Workshop

    def scan(file: str, post: str, account: str) -> list[dict[str, Any]]:
        result = workshop.pipeline.scan(Posted(source=file, id=post, account=account, platform="clips"))
        return [{"case": each.case_id, "opened": each.case_opened} for each in result.findings]

    def decide(case: str, verdict: str) -> str:
        now = datetime.now(UTC)
        with workshop.store.session() as session:
            lease = queue.claim(session, case, reviewer=REVIEWER, lease_s=600, now=now)
            renewed = queue.renew(session, case, reviewer=REVIEWER, token=lease.token, lease_s=600, now=now)
            verdicts.decide(session, case, reviewer=REVIEWER, token=renewed.token, verdict=verdict, reason="as seen", now=now)
        return case

    def seen() -> dict[str, Any]:
        with workshop.store.session(read_only=True) as session:
            shown = [item.case for item in queue.page(session, state=None).items]
            return {
                case.id: [case.state, case.verdict, len(cases.posts(session, case.id)), len(verdicts.verdicts(session, case.id))]
                for case in shown
            }

    with Workshop(settings.load()) as workshop:
        demo.register(workshop, MOURNED[:1])
        workshop.pipeline.gallery.current()
        print(json.dumps({"code": store.__file__, "schema": workshop.store.version()}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            act = {"scan": scan, "decide": decide, "seen": seen}[asked.pop("do")]
            print(json.dumps(act(**asked)), flush=True)


if __name__ == "__main__":
    main()
