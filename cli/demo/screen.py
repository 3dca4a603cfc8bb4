"""What the story looks like: headings, sentences, tables and the digit itself.

Plain text when piped, colours and a progress bar on a terminal; the words are the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

if TYPE_CHECKING:
    from backstory.cli.demo.world import Pixels

_SHADES = " ░▒▓█"
_WIDTH = 96


class _Pipe(Console):
    """A console that leaves it to the program what to do when its reader went away."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """Where the story is told; without colour nothing is bold or dim either.

    Args:
        color: whether there is colour.
        asking: what stands before a command that asks the story's home.
    """

    def __init__(self, *, color: bool, asking: str) -> None:
        system: Literal["auto"] | None = "auto" if color else None
        self._asking = asking
        self._console = _Pipe(highlight=False, soft_wrap=True, color_system=system)
        self._progress = Console(stderr=True, color_system=system)

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._console.print(text, style="bold cyan", markup=False)
        self._console.print("─" * min(len(text), _WIDTH), style="cyan", markup=False)

    def say(self, text: str = "", *, style: str | None = None) -> None:
        """One paragraph."""
        self._console.print(text, style=style, markup=False)

    def command(self, text: str) -> None:
        """A command that asks the home."""
        self._console.print(f"  $ {self._asking} {text}", style="green", markup=False)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns: the first to the left, numbers to the right."""
        cells = [list(head), *map(list, rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
        for place, row in enumerate(cells):
            first, *others = zip(row, widths, strict=True)
            line = "  ".join(
                [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            )
            self.say(f"  {line}", style="dim" if place == 0 else None)

    def digit(self, pixels: "Pixels") -> None:
        """The handwriting, two characters a pixel."""
        for row in range(8):
            line = "".join(
                _SHADES[min(value * len(_SHADES) // 17, len(_SHADES) - 1)] * 2
                for value in pixels[row * 8 : row * 8 + 8]
            )
            self.say(f"      {line}".rstrip())

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator["Steps"]:
        """Count steps: a bar on a terminal, nothing where nobody watches."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns,
            console=self._progress,
            transient=True,
            disable=not self._progress.is_terminal,
        ) as bar:
            yield Steps(bar, what, total)


class Steps:
    """Progress of one piece of work."""

    def __init__(self, bar: Progress, what: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=total)

    def advance(self) -> None:
        """One step is done."""
        self._bar.advance(self._task)
