"""What trace, impact and path have in common: their bounds, and how a walk is shown."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from backstory.cli.figures import moment
from backstory.cli.session import Session
from backstory.cli.views import Verbatim

if TYPE_CHECKING:
    from backstory.lineage.tracing import Trace

_Function = TypeVar("_Function", bound=Callable[..., Any])


def walk_options(function: _Function) -> _Function:
    """The bounds of a walk, and the way to draw it elsewhere."""
    for option in (
        click.option("--dot", is_flag=True, help="Write a graph for Graphviz."),
        click.option(
            "--limit", metavar="N", default=1000, show_default=True, help="How many things at most."
        ),
        click.option(
            "--depth", metavar="N", default=20, show_default=True, help="How many steps at most."
        ),
    ):
        function = option(function)
    return function


def show_walk(session: Session, found: "Trace", *, dot: bool) -> None:
    """Show a walk as a tree, and say how far it can be trusted."""
    from backstory.cli.documents import document
    from backstory.cli.lineage_tree import branch_of, dot_text

    view = Verbatim(text=dot_text(found)) if dot else branch_of(found)
    session.output.result(document(found), view)
    if found.graph.truncated:
        session.output.note("there is more: a bound was met; see --depth and --limit")
    if found.known_since is not None:
        session.output.note(f"no records before {moment(found.known_since)}")
