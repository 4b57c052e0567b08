"""The JSON Schemas of the messages in docs/messages, made from the models: `python -m tools.message_schemas`

They say what a producer must send. A reader ignores fields that it does not know, so additional ones are allowed.
"""

from __future__ import annotations

import json
from pathlib import Path

from streams.messages import CaseChanged, DeadLetter, Message, VideoPosted

FOLDER = Path(__file__).parent.parent / "docs" / "messages"
KINDS: tuple[type[Message], ...] = (VideoPosted, CaseChanged, DeadLetter)


def stem(kind: type[Message]) -> str:
    """How the files of a message type begin: video-posted.v1"""
    version = kind.model_fields["version"].default
    return f"{kind.TYPE.removeprefix('sosie.').replace('_', '-')}.v{version}"


def schema(kind: type[Message]) -> str:
    """The schema as it stands in its file. `type` and `version` have defaults for us who write them, and none for who reads them."""
    made = kind.model_json_schema()
    made["required"] = ["type", "version", *made["required"]]
    for name in ("type", "version"):
        del made["properties"][name]["default"]
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **made}, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for kind in KINDS:
        (FOLDER / f"{stem(kind)}.schema.json").write_text(schema(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
