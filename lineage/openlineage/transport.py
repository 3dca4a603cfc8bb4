"""Events to where the user wants them, by OpenLineage's own client: a file or an HTTP endpoint.

Nothing configured means that nothing is imported. What is sent is the event that the store has,
rebuilt for the client, which adds its version. The client's own retries are off: they hold a
sender for seconds, and the outbox keeps what could not be sent anyway.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from backstory.lake.errors import InvalidError, RefusedError, UnavailableError
from backstory.lineage.redaction import redact_text

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

# What each transport cannot do without.
TRANSPORTS = {"file": "log_file_path", "http": "url"}
NO_RETRIES = {"total": 0, "connect": 0, "read": 0, "status": 0, "other": 0}
MAX_ERROR_CHARS = 500
# Answers that say "not now", unlike others below 500.
_PASSING = {408, 429}


class Send(Protocol):
    """Sends one event."""

    def __call__(self, body: Mapping[str, Any], /) -> None:
        """Send it.

        Raises:
            RefusedError: the receiver will never take this event.
            UnavailableError: the receiver does not take it now.
        """


def check_transport(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that `open_transport` could not serve.

    Raises:
        InvalidError: another transport, or one without its file or URL.
    """
    kind = config.get("type")
    if kind not in TRANSPORTS:
        raise InvalidError(
            f"OpenLineage transport {kind!r} is not served",
            hint=f"set openlineage.transport.type to one of: {', '.join(TRANSPORTS)}",
        )
    needed = TRANSPORTS[kind]
    if not isinstance(config.get(needed), str):
        raise InvalidError(
            f"the OpenLineage {kind} transport has no {needed}",
            hint=f"set openlineage.transport.{needed}",
        )


def open_transport(config: Mapping[str, Any]) -> Send:
    """What sends events to where a configuration says.

    Args:
        config: the transport's configuration as OpenLineage documents it.

    Raises:
        InvalidError: the client does not take the configuration.
    """
    check_transport(config)
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport import get_default_factory

    retries: dict[str, Any] = {"retry": NO_RETRIES} if config["type"] == "http" else {}
    try:
        client = OpenLineageClient(transport=get_default_factory().create({**config, **retries}))
    except Exception as exc:
        raise InvalidError(
            f"the OpenLineage transport cannot be made: {_told(exc)}",
            hint="mend openlineage.transport in backstory.toml",
        ) from exc

    def send(body: Mapping[str, Any], /) -> None:
        try:
            event = rebuilt(body)
        except Exception as exc:  # it will not come about later either
            raise RefusedError(f"the event cannot be rebuilt: {_told(exc)}") from exc
        try:
            client.emit(event)
        except Exception as exc:
            raise _failure(exc) from exc

    return send


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


def _failure(exc: Exception) -> RefusedError | UnavailableError:
    """What a client's error means: the event is bad, or the receiver is not there now."""
    status = getattr(getattr(exc, "response", None), "status_code", None)
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING:
        return RefusedError(_told(exc))
    return UnavailableError(_told(exc))


def _told(exc: Exception) -> str:
    return redact_text(f"{type(exc).__name__}: {exc}")[:MAX_ERROR_CHARS]
