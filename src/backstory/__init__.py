"""Backstory tells any deployed model's backstory.

Which feedback made it, and what it was at the moment it answered.

    import backstory

    home = backstory.open()
    home.trace("ranker@7")

Names are loaded on first use, so that `import backstory` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from backstory.lake.contract import (
        Column,
        Contract,
        PersonalData,
        Role,
    )
    from backstory.lake.errors import (
        BackstoryError,
        BatchRejectedError,
        ConflictError,
        GoneError,
        IncompatibleContractError,
        IntegrityError,
        InvalidError,
        LimitExceededError,
        NotFoundError,
        OffsetConflict,
        RefusedError,
        UnavailableError,
    )
    from backstory.lake.reading import Reading
    from backstory.lake.receipt import Receipt
    from backstory.lake.signals import Signal
    from backstory.lake.snapshot import (
        Snapshot,
    )
    from backstory.lineage.aliasing import AliasMove
    from backstory.lineage.backup.restoring import restore
    from backstory.lineage.backup.taking import Backup
    from backstory.lineage.buffering import FeedbackBuffer
    from backstory.lineage.commanding import CommandFailedError
    from backstory.lineage.contracting import ContractVersion
    from backstory.lineage.home import (
        Home,
        Slice,
        init,
    )
    from backstory.lineage.home import (
        open_home as open,  # noqa: A004 - backstory.open is the SDK's front door
    )
    from backstory.lineage.inferring import infer
    from backstory.lineage.interaction import (
        Interaction,
        Part,
    )
    from backstory.lineage.recording import InteractionLog
    from backstory.lineage.registering import Registration
    from backstory.lineage.resuming import ResumedRun
    from backstory.lineage.retraining import Retraining
    from backstory.lineage.state import (
        ModelState,
    )
    from backstory.lineage.store.models import (
        VersionRecord,
    )
    from backstory.lineage.store.runs import (
        RunRecord,
    )
    from backstory.lineage.store.slices import (
        SnapshotRecord,
    )
    from backstory.lineage.tracing import (
        Trace,
    )
    from backstory.lineage.trigger import (
        Decay,
        Drift,
        Erasure,
        Manual,
        Schedule,
        Threshold,
        Trigger,
        TriggerNotDue,
    )

_HOMES = {
    "AliasMove": "backstory.lineage.aliasing",
    "Backup": "backstory.lineage.backup.taking",
    "BackstoryError": "backstory.lake.errors",
    "BatchRejectedError": "backstory.lake.errors",
    "Column": "backstory.lake.contract",
    "CommandFailedError": "backstory.lineage.commanding",
    "ConflictError": "backstory.lake.errors",
    "Contract": "backstory.lake.contract",
    "ContractVersion": "backstory.lineage.contracting",
    "Decay": "backstory.lineage.trigger",
    "Drift": "backstory.lineage.trigger",
    "Erasure": "backstory.lineage.trigger",
    "FeedbackBuffer": "backstory.lineage.buffering",
    "GoneError": "backstory.lake.errors",
    "Home": "backstory.lineage.home",
    "IncompatibleContractError": "backstory.lake.errors",
    "IntegrityError": "backstory.lake.errors",
    "Interaction": "backstory.lineage.interaction",
    "InteractionLog": "backstory.lineage.recording",
    "InvalidError": "backstory.lake.errors",
    "LimitExceededError": "backstory.lake.errors",
    "Manual": "backstory.lineage.trigger",
    "ModelState": "backstory.lineage.state",
    "NotFoundError": "backstory.lake.errors",
    "OffsetConflict": "backstory.lake.errors",
    "Part": "backstory.lineage.interaction",
    "PersonalData": "backstory.lake.contract",
    "Reading": "backstory.lake.reading",
    "Receipt": "backstory.lake.table",
    "RefusedError": "backstory.lake.errors",
    "Registration": "backstory.lineage.registering",
    "ResumedRun": "backstory.lineage.resuming",
    "Retraining": "backstory.lineage.retraining",
    "Role": "backstory.lake.contract",
    "RunRecord": "backstory.lineage.store.runs",
    "Schedule": "backstory.lineage.trigger",
    "Signal": "backstory.lake.signals",
    "Slice": "backstory.lineage.home",
    "Snapshot": "backstory.lake.snapshot",
    "SnapshotRecord": "backstory.lineage.store.slices",
    "Threshold": "backstory.lineage.trigger",
    "Trace": "backstory.lineage.tracing",
    "Trigger": "backstory.lineage.trigger",
    "TriggerNotDue": "backstory.lineage.trigger",
    "UnavailableError": "backstory.lake.errors",
    "VersionRecord": "backstory.lineage.store.models",
    "infer": "backstory.lineage.inferring",
    "init": "backstory.lineage.home",
    "open": "backstory.lineage.home",
    "restore": "backstory.lineage.backup.restoring",
}

__all__ = [
    "AliasMove",
    "BackstoryError",
    "Backup",
    "BatchRejectedError",
    "Column",
    "CommandFailedError",
    "ConflictError",
    "Contract",
    "ContractVersion",
    "Decay",
    "Drift",
    "Erasure",
    "FeedbackBuffer",
    "GoneError",
    "Home",
    "IncompatibleContractError",
    "IntegrityError",
    "Interaction",
    "InteractionLog",
    "InvalidError",
    "LimitExceededError",
    "Manual",
    "ModelState",
    "NotFoundError",
    "OffsetConflict",
    "Part",
    "PersonalData",
    "Reading",
    "Receipt",
    "RefusedError",
    "Registration",
    "ResumedRun",
    "Retraining",
    "Role",
    "RunRecord",
    "Schedule",
    "Signal",
    "Slice",
    "Snapshot",
    "SnapshotRecord",
    "Threshold",
    "Trace",
    "Trigger",
    "TriggerNotDue",
    "UnavailableError",
    "VersionRecord",
    "__version__",
    "infer",
    "init",
    "open",
    "restore",
]

_RENAMED = {"open": "open_home"}  # a module function of that name would hide the builtin there


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), _RENAMED.get(name, name))
    raise AttributeError(f"module 'backstory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
