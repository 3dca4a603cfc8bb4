"""Named places where a process may die, so that tests can prove that nothing breaks there.

A crash point does nothing unless the environment variable `BACKSTORY_CRASH_AT` named it when the
process started; then the process kills itself with SIGKILL, as a power cut or an OOM kill would.

>>> crashpoint("file.written")
"""

import os
import signal

CRASHPOINTS = frozenset(
    {
        "slice.built",
        "slice.created",
        "file.written",
        "file.renamed",
        "quarantine.written",
        "subjects.written",
        "subjects.joined",
        "subjects.cleared",
        "commit.before",
        "commit.after",
        "pin.manifest",
        "pin.checkpoint",
        "pin.holder",
        "blob.written",
        "blob.renamed",
        "unit.before_commit",
        "unit.after_commit",
        "run.started",
        "run.artifacts",
        "run.completed",
        "command.started",
        "command.ended",
        "deploy.recorded",
        "amend.recorded",
        "backup.copied",
        "restore.built",
        "outbox.sent",
        "link.written",
        "contract.written",
        "contract.committed",
        "compact.written",
        "fence.before",
        "fence.after",
        "collect.condemned",
        "collect.noted",
        "collect.deleted",
        "trim.archived",
        "trim.cut",
        "kafka.stored",
    }
)

_CRASH_AT = os.environ.get("BACKSTORY_CRASH_AT")


def crashpoint(name: str) -> None:
    """Die here if the environment asked for it."""
    if name == _CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)
