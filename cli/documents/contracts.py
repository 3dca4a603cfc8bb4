"""The JSON of contracts, their versions, changes and signals."""

import json

from backstory.cli.documents.dispatch import Document, document, documents, recorded, time_or_null
from backstory.lake.contract_change import Change
from backstory.lake.evolving import Evolved
from backstory.lake.inference import Inferred
from backstory.lake.signals import SignalLife
from backstory.lineage.contracting import Checked, ContractVersion


@document.register
def _(thing: Change) -> Document:
    return {
        "where": thing.where,
        "what": thing.what,
        "breaking": thing.breaking,
        "why": thing.why or None,
    }


@document.register
def _(thing: ContractVersion) -> Document:
    return {
        "slice": thing.contract.slice,
        "version": thing.contract.version,
        "digest": thing.digest,
        "begins": thing.begins,
        "at": time_or_null(thing.at),
        **recorded(thing.recorded_at, thing.late),
        "changes": documents(thing.changes),
        "contract": json.loads(thing.contract.to_json()),
    }


@document.register
def _(thing: Checked) -> Document:
    return {
        "slice": thing.contract.slice,
        "contractVersion": thing.contract.version,
        "compatible": not thing.breaking,
        "changes": documents(thing.changes),
    }


@document.register
def _(thing: Evolved) -> Document:
    return {
        "slice": thing.contract.slice,
        "contractVersion": thing.contract.version,
        "version": thing.version,
        "changes": documents(thing.changes),
    }


@document.register
def _(thing: SignalLife) -> Document:
    return {
        "name": thing.signal.name,
        "meaning": thing.signal.meaning or None,
        "since": time_or_null(thing.signal.since),
        "sinceGiven": thing.since_given,
        "until": time_or_null(thing.signal.until),
        "contractVersion": thing.known_from,
    }


@document.register
def _(thing: Inferred) -> Document:
    return {"contract": json.loads(thing.contract.to_json()), "guesses": list(thing.guesses)}
