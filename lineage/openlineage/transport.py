"""Events to a receiver, by OpenLineage's own transports: a file, an HTTP endpoint, a Kafka topic.

Nothing configured means that nothing is imported. What is sent is the event that the store has. The
transports are made here and not by OpenLineage's client, which would obey environment variables and
files of the current folder, and could so drop what counts as sent. Their own retries are off, and
redirects, which turn a POST into a page that says 200: the outbox keeps what could not be sent.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from backstory.lake.errors import BackstoryError, InvalidError, RefusedError, UnavailableError
from backstory.lineage.daemon_thread import in_daemon_thread
from backstory.lineage.openlineage.kafka import open_topic
from backstory.lineage.openlineage.receivers import SETTING, Receiver
from backstory.lineage.redaction import redact_text, secrets_in

if TYPE_CHECKING:
    from concurrent.futures import Future

    from openlineage.client.event_v2 import RunEvent

NO_RETRIES = {"total": 0, "connect": 0, "read": 0, "status": 0, "other": 0}
MAX_ERROR_CHARS = 500
MAX_SEND_SECONDS = 60.0
# Answers below 500 that speak of the moment, the address or the token, not of the event.
_NOT_OF_THE_EVENT = {401, 403, 404, 405, 407, 408, 425, 429}


class Send(Protocol):
    """Sends one event."""

    def __call__(self, body: Mapping[str, Any], /) -> None:
        """Send it.

        Raises:
            RefusedError: the receiver will never take this event.
            UnavailableError: the receiver does not take it now.
        """


def open_transport(receiver: Receiver, *, seconds: float = MAX_SEND_SECONDS) -> Send:
    """What sends events to a receiver.

    Args:
        receiver: who gets them.
        seconds: how long one event may take, whatever trickles meanwhile.

    Raises:
        InvalidError: OpenLineage does not take the configuration.
    """
    secrets = secrets_in(receiver.config)
    try:
        emit = _patient(_opened(receiver), seconds)
    except BackstoryError:
        raise
    except Exception as exc:
        raise InvalidError(
            f"the OpenLineage transport cannot be made: {_told(exc, secrets)}",
            hint=f"mend {SETTING} in backstory.toml",
        ) from exc

    def send(body: Mapping[str, Any], /) -> None:
        try:
            event = rebuilt(body)
        except Exception as exc:  # it will not come about later either
            raise RefusedError(f"the event cannot be rebuilt: {_told(exc, secrets)}") from exc
        try:
            emit(event)
        except Exception as exc:
            raise _failure(exc, secrets) from exc

    return send


def _opened(receiver: Receiver) -> Callable[["RunEvent"], Any]:
    """What emits by the transport of a receiver's kind."""
    config = dict(receiver.config)
    if receiver.kind == "kafka":
        return open_topic(config)
    if receiver.kind == "file":
        from openlineage.client.transport.file import FileConfig, FileTransport

        return FileTransport(FileConfig.from_dict(config)).emit
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    transport = HttpTransport(HttpConfig.from_dict({**config, "retry": NO_RETRIES}))
    transport.session.max_redirects = 0
    return transport.emit


def _patient(emit: Callable[["RunEvent"], Any], seconds: float) -> Callable[["RunEvent"], None]:
    """Emit within a time; while one event is still under way no other is begun."""
    under_way: list[Future[Any]] = []

    def within(event: "RunEvent") -> None:
        if under_way and not under_way[0].done():
            raise UnavailableError("an event that was sent before has no answer yet")
        under_way[:] = [in_daemon_thread(emit, event)]
        try:
            under_way[0].result(timeout=seconds)
        except TimeoutError as exc:
            if under_way[0].done():
                raise
            raise UnavailableError(f"no answer within {seconds:g} s") from exc

    return within


def rebuilt(body: Mapping[str, Any]) -> "RunEvent":
    """The client's event object of a stored event; facets stay the JSON that they are."""
    from openlineage.client import event_v2 as ol

    run, job = body["run"], body["job"]
    return ol.RunEvent(
        eventType=ol.RunState(body["eventType"]),
        eventTime=body["eventTime"],
        producer=body["producer"],
        run=ol.Run(runId=run["runId"], facets=dict(run.get("facets", {}))),
        job=ol.Job(**job),
        inputs=[ol.InputDataset(**dataset) for dataset in body.get("inputs", ())],
        outputs=[ol.OutputDataset(**dataset) for dataset in body.get("outputs", ())],
    )


def _failure(exc: Exception, secrets: frozenset[str]) -> RefusedError | UnavailableError:
    """What a transport's error means: the event is bad, or the receiver does not take any now."""
    told = _told(exc, secrets)
    status = getattr(getattr(exc, "response", None), "status_code", None)
    of_the_event = isinstance(status, int) and 400 <= status < 500
    if isinstance(exc, RefusedError) or (of_the_event and status not in _NOT_OF_THE_EVENT):
        return RefusedError(told)
    return UnavailableError(told)


def _told(exc: Exception, secrets: frozenset[str]) -> str:
    """An error in one line, without the configuration's secrets wherever they stand in it."""
    text = exc.message if isinstance(exc, BackstoryError) else f"{type(exc).__name__}: {exc}"
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return redact_text(text)[:MAX_ERROR_CHARS]
