"""The contracts of a table as files: one for each version, written once and never changed.

    _contract/v1.json    the canonical text of the first contract
    _contract/v2.json    its successor …

Keeps true: of two rivals who write the same version, one is told that the other was first; a file
is whole or not there, also after a power cut. Whether the Delta table has come under a contract is
not told here, see `backstory.lake.contract_commit`.
"""

import os
from pathlib import Path

from backstory.lake.contract import Contract
from backstory.lake.errors import IntegrityError, InvalidError
from backstory.lake.files import sync_folder, sync_open, temporary_file, write_durably
from backstory.lake.location import translate_os_error
from backstory.lake.object_path import ObjectPath

CONTRACT_FOLDER = "_contract"


def contract_file(folder: Path, version: int) -> Path:
    """Where a version of a table's contract lies."""
    return folder / CONTRACT_FOLDER / f"v{version}.json"


def write_first(folder: Path, contract: Contract) -> None:
    """Write the contract of a table that is being made."""
    path = contract_file(folder, contract.version)
    path.parent.mkdir(parents=True)
    write_durably(path, contract.to_json().encode())


def propose(folder: Path, contract: Contract) -> bool:
    """Write a table's next contract; whether nobody else was first.

    From then on it is decided: who finds it brings the table under it.

    Raises:
        UnavailableError: disk full, no permission.
    """
    path = contract_file(folder, contract.version)
    return put_first(folder, path, contract.to_json().encode())


def put_first(folder: Path, path: Path, data: bytes) -> bool:
    """Put a file where none may be, whole and to survive a power cut; whether none was there.

    Args:
        folder: where to write it first, on the same disk.
        path: its place.
        data: its bytes.

    Raises:
        UnavailableError: disk full, no permission.
    """
    if isinstance(path, ObjectPath):
        return path.create(data)
    with temporary_file(folder) as file:
        file.write(data)
        sync_open(file)
        aside = Path(file.name)
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        finally:
            aside.unlink()
        sync_folder(path.parent)
    return True


def contract_versions(folder: Path) -> list[int]:
    """The versions of a table's contract that lie in its folder, in order."""
    names = (path.stem[1:] for path in (folder / CONTRACT_FOLDER).glob("v*.json"))
    return sorted(int(name) for name in names if name.isdigit())


def newest_contract(folder: Path) -> Path | None:
    """The file of a table's newest contract."""
    versions = contract_versions(folder)
    return contract_file(folder, versions[-1]) if versions else None


def read_contract(folder: Path, name: str, version: int | None = None) -> Contract:
    """A version of a table's contract, the newest by default.

    Raises:
        IntegrityError: it is missing, damaged, or another table's.
    """
    path = newest_contract(folder) if version is None else contract_file(folder, version)
    if path is None or not path.exists():
        raise IntegrityError(f"{name}: its contract is missing")
    try:
        contract = Contract.from_json(path.read_text(encoding="utf-8"))
    except (InvalidError, UnicodeDecodeError) as exc:
        raise IntegrityError(
            f"{name}: contract {path.name} is not what was written: {exc}"
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading the contract of {name}") from exc
    if contract.slice != name:
        raise IntegrityError(f"{name}: {path.name} is the contract of {contract.slice}")
    return contract


def other_contracts(folder: Path, contract: Contract) -> list[Contract]:
    """The other contracts of a table, the newest first."""
    return [
        read_contract(folder, contract.slice, version)
        for version in reversed(contract_versions(folder))
        if version != contract.version
    ]
