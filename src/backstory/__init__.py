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
    from backstory.lake.errors import BackstoryError

_HOMES = {
    "BackstoryError": "backstory.lake.errors",
}

__all__ = ["BackstoryError", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'backstory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
