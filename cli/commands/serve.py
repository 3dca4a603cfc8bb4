"""`backstory serve`: answer GraphQL and take feedback on this machine."""

import click

from backstory.cli.command import verb
from backstory.cli.figures import TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts

DEFAULT_PORT = 8400


@verb("serve", examples=("backstory serve", "backstory serve --port 0 --json"))
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--host",
    metavar="HOST",
    default="127.0.0.1",
    show_default=True,
    help="An address that this machine alone can reach.",
)
def command(session: Session, port: int, host: str) -> None:
    """Answer GraphQL and take feedback on this machine.

    GraphQL is at /graphql, and rows are posted to /api/v1/feedback/SLICE, until Ctrl-C. It listens
    on loopback only: nobody else can reach it, and rows and bodies of interactions stay out of its
    answers.
    """
    from backstory.api.app import serve

    def started(url: str) -> None:
        address = f"{url}/graphql"
        feedback = f"{url}/api/v1/feedback/"
        session.output.result(
            {"url": address, "feedback": feedback},
            Facts(
                heading="",
                lines=[("GraphQL", address, TEXT), ("feedback", f"{feedback}SLICE", TEXT)],
            ),
        )
        session.output.note("stop it with Ctrl-C")

    with session.home() as home:
        serve(home, host, port, started=started)
