"""The topics of `backstory help`: each a function that gives its text."""

from textwrap import TextWrapper

from backstory.cli.errors import EXIT_CODES


def exit_codes() -> str:
    """What the exit codes say."""
    wrap = TextWrapper(width=78, subsequent_indent=" " * 7).fill
    lines = [wrap(f"  {code.value:>3}  {meaning}") for code, meaning in EXIT_CODES.items()]
    return "\n".join(
        [
            "Exit codes",
            "",
            *lines,
            "",
            "An error is one line on stderr, with a hint below it. With --json it is",
            '{"error": {"code", "message", "hint"}} on stderr.',
        ]
    )


def refs() -> str:
    """How things are named."""
    return """\
Refs name things in every command

  ranker@7                      a model version
  ranker@champion               the version that an alias names now
  ranker                        a model
  thumbs/en@58                  a slice at a version
  thumbs/en@2026-11-14T09:41Z   a slice as it was at a time; a date is its midnight in UTC
  thumbs/en                     a slice as it is now
  run:019a8f3c-5b1e             a training run, by its id or the first 6 or more characters
  int:019a8f3c-5b1e             an interaction, likewise
  ext:zendesk:8812              an interaction by what another system calls it
  env:prod-eu                   an environment
  env:prod-eu#3                 its third deployment
  component:prompt:greeting@4   a component at a version

After @, digits are a version, a date is a time, and a word is an alias. Slices and models share one
namespace; write model:ranker or slice:thumbs to say which you mean."""


def environment() -> str:
    """The variables that are read."""
    return """\
Environment

  BACKSTORY_HOME    the home's folder, if it is not .backstory here or above
  BACKSTORY_RUN_ID  the run that home.resume() goes on with; backstory run sets it
  BACKSTORY_PAGER   what shows long results on a terminal; then PAGER, then less -FRX
  NO_COLOR          set to anything: no colour
  TERM              dumb: no colour
  COLUMNS           how wide to draw where the output is no terminal"""


def json_shape() -> str:
    """What --json writes."""
    return """\
--json

  {"schemaVersion": 1, "data": …} on stdout; [] or null where there is nothing. Only the answer of
  query is GraphQL's own JSON.

Names are camelCase. Times are RFC 3339 in UTC, numbers are exact, digests have 64 digits, and what
does not apply is null. A thing is named by its ref. Within a schemaVersion fields are added and
never change their meaning. Without a terminal and without --json, lists are tab-separated lines
under a header, with the same exact values."""
