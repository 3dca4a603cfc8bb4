"""Events to where the user wants them: a file, by OpenLineage's own client.

Nothing configured means that nothing is imported. A training never fails and never stalls for its
lineage: what cannot be sent is logged, and the store has every event anyway. For that reason only
the file transport is served; a server that does not answer would hold a training for seconds.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backstory.lake.errors import InvalidError
from backstory.lineage.redaction import redact_text

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

TRANSPORTS = ("file",)

_log = logging.getLogger(__name__)


def check_transport(config: Mapping[str, Any]) -> None:
    """Refuse a configuration that `emit` could not serve.

    Raises:
        InvalidError: another transport, or a file transport without its file.
    """
    if config.get("type") not in TRANSPORTS:
        raise InvalidError(
            f"OpenLineage transport {config.get('type')!r} is not served",
            hint=f"set openlineage.transport.type to one of: {', '.join(TRANSPORTS)}",
        )
    if not isinstance(config.get("log_file_path"), str):
        raise InvalidError(
            "the OpenLineage file transport has no file",
            hint="set openlineage.transport.log_file_path",
        )


def emit(events: "Sequence[RunEvent]", config: Mapping[str, Any] | None) -> None:
    """Send events, in order; a failure is logged once and the rest is left.

    Args:
        events: event objects of the client, which may add its version to them.
        config: the transport's configuration as OpenLineage documents it; None for none.
    """
    if config is None:
        return
    try:
        check_transport(config)
        _send(events, config)
    except Exception as exc:  # noqa: BLE001 - a third party's transport may raise anything
        _log.warning("OpenLineage events were not sent: %s", redact_text(str(exc)))


def _send(events: "Sequence[RunEvent]", config: Mapping[str, Any]) -> None:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport import get_default_factory

    client = OpenLineageClient(transport=get_default_factory().create(dict(config)))
    for event in events:
        client.emit(event)
