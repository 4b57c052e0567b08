"""`sosie provenance FILE`"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from monitor.base import settings
from monitor.base.errors import NotFound
from monitor.cli.output import out, print_json
from monitor.provenance.confined import check_confined
from monitor.provenance.history import History
from monitor.provenance.outline import (
    Node,
    actions,
    facts,
    heading,
    ingredient_words,
    left_out,
    left_out_of,
    outline,
    recorded_words,
    state_words,
)
from monitor.provenance.sentences import sentences
from monitor.scan.workshop import Workshop

WIDEST = 120  # columns: longer lines are hard to read


def provenance(
    file: Annotated[Path, typer.Argument(help="A video, picture or other file that may carry a C2PA manifest.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What a file says of its own origin, and how far that can be believed: in sentences, then manifest by manifest."""
    if not file.is_file():
        raise NotFound(file, "no such file", "Check the path")
    with Workshop(settings.load()) as workshop:
        trust = workshop.trust
        found = check_confined(workshop.sandbox, file, trust, source=str(file))
    if json:
        print_json({"source": str(file), **found.to_json()})
        return
    out.print(f"[bold]{found.state.value}[/]  {escape(str(file))}")
    for sentence in sentences(found):
        out.print(f"  {escape(sentence)}")
    if found.manifests and not (trust.signers or trust.allowed):
        out.print("  No trust list is loaded: nothing can be trusted. `sosie trust update FILE…` takes the lists you download.")
    _print_history(found.history)


def _print_history(history: History) -> None:
    """Print a history as a tree, folded to the terminal, to 80 columns where there is none.

    `Text` holds what files say: it is never markup.
    """
    width = min(shutil.get_terminal_size().columns, WIDEST)
    for root in outline(history):
        out.print()
        out.print(_drawn(Tree(_numbered(root, heading(root))), root), width=width, soft_wrap=False)
    if rest := left_out(history):
        out.print(f"\n{rest}.")


def _drawn(tree: Tree, node: Node) -> Tree:
    for what, value in facts(node.manifest):
        tree.add(Text.assemble((f"{what}: ", "dim"), value))
    for name, *details in actions(node.manifest):
        tree.add(Text.assemble(("Action: ", "dim"), (name, "bold"), *(f" · {detail}" for detail in details)))
    for branch in node.branches:
        words = ingredient_words(branch.ingredient)
        line = _numbered(branch.node, words) if branch.node else Text(f"{words} · {branch.instead}")
        below = tree.add(line)
        if recorded := recorded_words(branch.ingredient):
            below.add(Text(recorded))
        if branch.node:
            _drawn(below, branch.node)
    if rest := left_out_of(node.manifest):
        tree.add(Text(rest))
    return tree


def _numbered(node: Node, words: str) -> Text:
    """A manifest's line: the verdict before the file's words, which could end in any verdict they like."""
    return Text.assemble((f"[{node.number}] {state_words(node.manifest)}", "bold"), f" · {words}")
