"""Where a command's result goes: stdout alone has the result, stderr has everything else.

Three looks. A terminal gets aligned tables, trees and colour; a pipe gets tab-separated lines under
a header, nothing shortened; `--json` gets `{"schemaVersion": 1, "data": …}`. Commands hand over
both the data and the views, and never ask which look it is. rich is imported only to draw.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TextIO, assert_never

import click

from backstory.cli.figures import REF, STATE, Kind, one_line, state, state_style
from backstory.cli.views import Branch, Facts, Sentence, Table, Verbatim, View

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.text import Text

SCHEMA_VERSION = 1
SECONDS_BETWEEN_LINES = 10
SECONDS_BEFORE_BAR = 0.5  # what is done sooner shows none: it would only flash
READABLE = 13  # characters of a column, below which a table is no table any more
_BLANK_ENDS = re.compile(r" +((?:\x1b\[[\d;]*m| )*)$", re.MULTILINE)
DEFAULT_PAGER = "less -FRX"
PIPED_WIDTH = 120  # of a drawing that somebody forced into a pipe with --color always


class Step(Protocol):
    """Says how far a work is."""

    def __call__(self, what: str, rows: int | None = None) -> None:
        """The next step begins; or, with rows, so many more of them are done."""


class Look(StrEnum):
    """How a result is written."""

    JSON = "json"
    PLAIN = "plain"
    PEOPLE = "people"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where results, notes and progress go.

    Attributes:
        look: how results are written.
        color: whether colour is used, by results and progress.
        quiet: notes and progress are left out.
        pager: the command that shows what is longer than the terminal; None for none.
    """

    look: Look
    color: bool
    quiet: bool = False
    pager: str | None = None

    def result(self, data: Any, *views: View, empty: str = "") -> None:
        """Write a result.

        Args:
            data: the result as JSON values.
            views: the same for people and pipes.
            empty: the sentence to say where there is nothing to show.
        """
        if empty and not data:
            self.note(empty)
        if self.look is Look.JSON:
            body = {"schemaVersion": SCHEMA_VERSION, "data": data}
            click.echo(json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False))
        elif self.look is Look.PLAIN:
            self._plain(views)
        elif data or not empty:
            self._draw(views)

    def note(self, text: str) -> None:
        """Say something beside the result, on stderr."""
        if not self.quiet:
            click.echo(one_line(text), err=True)

    @contextlib.contextmanager
    def working(self, doing: str, total: int | None = None) -> Iterator[Step]:
        """Show that something goes on; call what is yielded with the name of each next step."""
        if self.quiet:
            yield lambda what, rows=None: None  # noqa: ARG005 - nothing is shown
        elif sys.stderr.isatty():
            with self._bar(doing, total) as step:
                yield step
        else:
            with _lines(doing, total) as step:
                yield step

    def _plain(self, views: tuple[View, ...]) -> None:
        written = False
        for view in views:
            if isinstance(view, Sentence):
                self.note(view.text)
                continue
            if written:
                click.echo()
            written = True
            for line in _plain_lines(view):
                click.echo(line)

    def _draw(self, views: tuple[View, ...]) -> None:
        match views:
            case (Verbatim(text=text),):  # `--version` must not wait for rich
                drawn = text.rstrip("\n") + "\n"
            case _:
                drawn = self._drawing(views)
        tall = drawn.count("\n") >= shutil.get_terminal_size().lines
        if not (self.pager and tall and sys.stdout.isatty() and _page(self.pager, drawn)):
            click.echo(drawn, nl=False, color=True)  # the text has its colours already

    def _drawing(self, views: tuple[View, ...]) -> str:
        console = _console(sys.stdout, color=self.color)
        with console.capture() as capture:
            for place, view in enumerate(views):
                if place:
                    console.print()
                console.print(_drawn(view, console.width), soft_wrap=isinstance(view, Verbatim))
        return _BLANK_ENDS.sub(r"\1", capture.get())

    @contextlib.contextmanager
    def _bar(self, doing: str, total: int | None) -> Iterator[Step]:
        from rich import progress

        bar = (progress.BarColumn(), progress.MofNCompleteColumn()) if total else ()
        columns = (
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            *bar,
            progress.TextColumn("{task.fields[speed]}", markup=False),
            progress.TimeElapsedColumn(),
        )
        console = _console(sys.stderr, color=self.color)
        shown = progress.Progress(*columns, console=console, transient=True)
        task = shown.add_task(doing, total=total, speed="")
        here = _Place(name=doing)

        def step(what: str, rows: int | None = None) -> None:
            here.go_on(f"{doing} {one_line(what)}", rows)
            taken = here.number - 1
            shown.update(task, completed=taken, description=here.name, speed=here.speed)

        with _later(SECONDS_BEFORE_BAR, shown):
            yield step


def drawn_lines(view: View) -> list[str]:
    """A view as people see it, without colour, for a program that writes it elsewhere."""
    console = _console(sys.stdout, color=False)
    with console.capture() as capture:
        console.print(_drawn(view, console.width))
    return [line.rstrip() for line in capture.get().splitlines()]


def _console(file: TextIO, *, color: bool) -> "Console":
    from rich.console import Console

    return Console(
        file=file,
        force_terminal=True,
        color_system=("auto" if file.isatty() else "standard") if color else None,
        no_color=not color,
        width=None if file.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


@contextlib.contextmanager
def _later(seconds: float, shown: "Progress") -> Iterator[None]:
    """Show a progress once the work within has gone on for so long."""
    timer = threading.Timer(seconds, shown.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if shown.live.is_started:
            shown.stop()


@dataclass(slots=True)
class _Place:
    """How far a work is."""

    name: str
    number: int = 0
    rows: int = 0
    began: float = field(default_factory=time.monotonic)

    def go_on(self, name: str, rows: int | None) -> None:
        """Begin the next step, or do so many more rows of this one."""
        self.name = name
        self.number += rows is None
        self.rows += rows or 0

    @property
    def speed(self) -> str:
        """The rows so far and how many in a second; nothing where none are counted."""
        if not self.rows:
            return ""
        seconds = max(time.monotonic() - self.began, 0.001)
        return f"{self.rows:,} rows, {self.rows / seconds:,.0f}/s"


@contextlib.contextmanager
def _lines(doing: str, total: int | None) -> Iterator[Step]:
    """Progress without a terminal: one line every ten seconds."""
    here = _Place(name=doing)
    ended = threading.Event()

    def step(what: str, rows: int | None = None) -> None:
        here.go_on(f"{doing} {what}", rows)

    def tell() -> None:
        passed = 0
        while not ended.wait(SECONDS_BETWEEN_LINES):
            passed += SECONDS_BETWEEN_LINES
            place = f", {here.number} of {total}" if total else ""
            place += f", {here.speed}" if here.rows else ""
            click.echo(f"{one_line(here.name)}{place} ({passed} s)", err=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield step
    finally:
        ended.set()
        teller.join()


def _page(pager: str, text: str) -> bool:
    """Show a text in a pager; False where there is none to run."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
    try:
        subprocess.run(shlex.split(pager), input=text.encode(), check=False)  # noqa: S603 - the user's own
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


def _plain_lines(view: Table | Facts | Branch | Verbatim) -> Iterator[str]:
    match view:
        case Table():
            yield _separated(name for name, _ in view.columns)
            for row in view.rows:
                pairs = zip(row, view.columns, strict=True)
                yield _separated(_plain(value, kind) for value, (_, kind) in pairs)
        case Facts():
            lines = [("ref", view.heading)] if view.heading else []
            lines += [(name, _plain(value, kind)) for name, value, kind in view.told]
            yield from map(_separated, lines)
        case Branch():
            yield _separated(("depth", "relation", "ref", *(name for name, _, _ in view.columns)))
            for depth, branch in view.walk():
                values = [_plain(value, kind) for _, value, kind in branch.columns]
                yield _separated((str(depth), branch.relation, branch.ref, *values))
        case Verbatim():
            yield view.text.rstrip("\n")
        case _:
            assert_never(view)


def _plain(value: Any, kind: Kind) -> str:
    return "" if value is None else kind.plain(value)


def _separated(cells: Iterator[str] | tuple[str, ...]) -> str:
    return "\t".join(one_line(cell) for cell in cells)


def _drawn(view: View, width: int) -> "RenderableType":
    from rich.text import Text

    match view:
        case Table():
            return _drawn_table(view) if _fits(view, width) else _drawn_records(view)
        case Facts():
            return _drawn_facts(view)
        case Branch():
            return _drawn_tree(view)
        case Verbatim():
            return Text(view.text.rstrip("\n"))
        case Sentence():
            mark = state(view.state).partition(" ")[0] + " " if view.state else ""
            return Text(mark + one_line(view.text), style=state_style(view.state))
        case _:
            assert_never(view)


def _cell(value: Any, kind: Kind) -> "Text":
    from rich.text import Text

    if value is None:
        return Text("-", style="dim")
    style = state_style(value) if kind is STATE else kind.style
    text = one_line(kind.people(value))
    if kind.cut:  # by the cell and not by its column, so that the widest column gives way first
        return Text(text, style=style, no_wrap=True, overflow="ellipsis")
    return Text(text, style=style)


def _drawn_table(view: Table) -> "RenderableType":
    from rich.table import Table as RichTable

    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    used = _used(view)
    for place in used:
        name, kind = view.columns[place]
        table.add_column(
            name,
            justify="right" if kind.right else "left",
            no_wrap=kind.whole or kind.right,
            min_width=_least_width(view, place),
            overflow="fold",
        )
    for row in view.rows:
        table.add_row(*(_cell(row[place], view.columns[place][1]) for place in used))
    return table


def _used(view: Table) -> list[int]:
    """The columns that are drawn."""
    return [
        place
        for place, _ in enumerate(view.columns)
        if view.whole or any(row[place] is not None for row in view.rows)
    ]


def _fits(view: Table, width: int) -> bool:
    """Whether every column gets what it needs at least beside the others."""
    return sum(_least_width(view, place) + 2 for place in _used(view)) <= width + 2


def _least_width(view: Table, place: int) -> int:
    """All characters of what is not wrapped, as half an id is none; some of any other column."""
    name, kind = view.columns[place]
    told = (kind.people(row[place]) for row in view.rows if row[place] is not None)
    widest = max(len(one_line(text)) for text in (name, *told))
    return widest if kind.whole or kind.right else min(widest, READABLE)


def _drawn_records(view: Table) -> "RenderableType":
    """A table that is too wide: one value a line, row by row."""
    from rich.console import Group

    return Group(
        *(
            _drawn_facts(
                Facts(
                    heading=f"row {number}",
                    lines=[
                        (name, value, kind)
                        for (name, kind), value in zip(view.columns, row, strict=True)
                    ],
                )
            )
            for number, row in enumerate(view.rows, start=1)
        )
    )


def _drawn_facts(view: Facts) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value, kind in view.told:
        table.add_row(label, _cell(value, kind))
    return Group(Text(one_line(view.heading), style="bold cyan"), table) if view.heading else table


def _drawn_tree(root: Branch) -> "RenderableType":
    from rich.tree import Tree

    drawn = Tree(_drawn_branch(root), guide_style="dim")
    above = [drawn]
    for depth, branch in root.walk():
        if depth:
            del above[depth:]
            above.append(above[-1].add(_drawn_branch(branch)))
    return drawn


def _drawn_branch(branch: Branch) -> "Text":
    from rich.text import Text

    relation = Text(f"{branch.relation} ", style="dim") if branch.relation else Text()
    line = relation + _cell(branch.ref, REF)
    for place, (value, kind) in enumerate(branch.notes):
        line += Text("  " if not place else " · ", style="dim") + _cell(value, kind)
    return line
