"""A contract as somebody hands it over: a value, a text, or a file, in our YAML or as ODCS."""

from pathlib import Path

from backstory.lake.contract import Contract
from backstory.lake.documents import MAX_DOCUMENT_BYTES, load_yaml
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import translate_os_error
from backstory.lake.odcs import OdcsReading, is_odcs, read_odcs


def contract_of(contract: Contract | str | Path) -> Contract:
    """The contract that was handed over.

    Args:
        contract: a `Contract`, the text of one in YAML, or the path of a YAML file; what says that
            it is an Open Data Contract Standard document is read as one.

    Raises:
        InvalidError: it does not hold together.
        NotFoundError: there is no such file.
    """
    return contract_read(contract).contract


def contract_read(contract: Contract | str | Path) -> OdcsReading:
    """The same, with what was not taken of a document of the standard."""
    if isinstance(contract, Contract):
        return OdcsReading(contract=contract, not_taken=())
    text = contract if isinstance(contract, str) else text_of(contract)
    document = load_yaml(text, "contract")
    if is_odcs(document):
        return read_odcs(document)
    return OdcsReading(contract=Contract.from_yaml(text), not_taken=())


def text_of(path: Path) -> str:
    """The text of a file that says what a contract is.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it is no text, or larger than any contract.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError as exc:
        raise NotFoundError(f"there is no file {path}", hint="check its path") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {path}") from exc
    if len(data) > MAX_DOCUMENT_BYTES:
        raise LimitExceededError(
            f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes", hint="check that it is the file"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidError(f"{path} is not UTF-8 text", hint="a contract is YAML") from exc
