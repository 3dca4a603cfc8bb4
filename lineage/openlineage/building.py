"""Event objects of openlineage-python from plain descriptions. Importing this imports the client.

Besides the standard facets there are seven of our own, each with a JSON Schema in `facets/`:

- `backstory_deltaSnapshot` on an input: which bytes the version consists of, by digest;
- `backstory_selection` on an input's use: roles, columns, filters and rows of each read;
- `backstory_model` on the output: number, artifact by digest, components;
- `backstory_training` on the run: parameters, metrics, seed, final data set, code, environment;
- `backstory_trigger` on the run: why it started, with the value, the limit and the commits.
- `backstory_command` on the run: the command that trained; what it read itself is not captured;
- `backstory_abandoned` on a run of which the processes were lost: its ABORT is our conclusion.

A published schema is never changed: a facet that says more gets another version and another file.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import PurePosixPath
from typing import Any

from openlineage.client import event_v2
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    RunFacet,
    dataset_type_dataset,
    dataset_version_dataset,
    error_message_run,
    execution_parameters_run,
    input_statistics_input_dataset,
    job_type_job,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    storage_dataset,
)

from backstory.lineage.capturing import Code, Environment
from backstory.lineage.openlineage.events import (
    InputDescription,
    OutputDescription,
    RunDescription,
    dataset_name,
    plain,
)
from backstory.lineage.openlineage.quality_facets import quality_facets
from backstory.lineage.times import time_text

FACETS_VERSION = "1-0-0"
INTEGRATION = "BACKSTORY"


def build_run_event(described: RunDescription, event_type: str, at: datetime) -> event_v2.RunEvent:
    """See `events.run_event`."""
    output = [_output(described, described.output)] if described.output else []
    return event_v2.RunEvent(
        eventType=event_v2.RunState(event_type),
        eventTime=time_text(at),
        producer=producer(),
        run=event_v2.Run(runId=described.run_id, facets=_run_facets(described)),
        job=event_v2.Job(
            namespace=described.namespace, name=described.job, facets=_job_facets(described)
        ),
        inputs=_inputs(described.inputs),
        outputs=output,
    )


@cache
def producer() -> str:
    """This program and its version, as the URI that events are signed with."""
    return f"urn:backstory:{installed_version('backstory')}"


def schema_url(name: str) -> str:
    """Where a facet of ours is described, for good."""
    return f"urn:backstory:facets:{FACETS_VERSION}:{name}.json#/$defs/{name}"


def _inputs(reads: Iterable[InputDescription]) -> list[event_v2.InputDataset]:
    """One input for each version of each slice, however often it was read."""
    grouped: dict[tuple[str, str], list[InputDescription]] = {}
    for read in reads:
        grouped.setdefault((read.uri, read.snapshot.digest), []).append(read)
    return [_input(same) for same in grouped.values()]


def _input(reads: Sequence[InputDescription]) -> event_v2.InputDataset:
    first = reads[0]
    snapshot = first.snapshot
    namespace, name = dataset_name(first.uri)
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=column.name, type=str(column.type))
        for column in snapshot.schema
    ]
    return event_v2.InputDataset(
        namespace=namespace,
        name=name,
        facets={
            "version": _version(snapshot.version),
            "schema": schema_dataset.SchemaDatasetFacet(fields=fields, producer=producer()),
            "storage": storage_dataset.StorageDatasetFacet(
                storageLayer="delta", fileFormat="parquet", producer=producer()
            ),
            "backstory_deltaSnapshot": _own(
                DatasetFacet,
                "BackstoryDeltaSnapshotDatasetFacet",
                slice=first.slice,
                tableId=snapshot.manifest.table_id,
                version=snapshot.version,
                commitTimestamp=time_text(first.at) if first.at else None,
                numFiles=len(snapshot.manifest.files),
                numRecords=snapshot.rows,
                sizeInBytes=snapshot.size,
                digest=snapshot.digest,
            ),
        },
        inputFacets={
            "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=_total(read.rows_read for read in reads), producer=producer()
            ),
            "backstory_selection": _own(
                InputDatasetFacet,
                "BackstorySelectionInputDatasetFacet",
                reads=[
                    {
                        "role": read.role,
                        "columns": list(read.columns) if read.columns is not None else None,
                        "filter": read.filter,
                        "rows": read.rows_read,
                    }
                    for read in reads
                ],
            ),
            **quality_facets(first, producer()),
        },
    )


def _output(described: RunDescription, made: OutputDescription) -> event_v2.OutputDataset:
    """The model: one dataset for all its versions, the version in its facet, like Delta's."""
    return event_v2.OutputDataset(
        namespace=described.namespace,
        name=described.model,
        facets={
            "version": _version(made.number),
            "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(
                datasetType="MODEL", producer=producer()
            ),
            "backstory_model": _own(
                DatasetFacet,
                "BackstoryModelDatasetFacet",
                model=described.model,
                version=made.number,
                artifactUri=made.uri,
                artifactDigest=made.artifact.digest,
                artifactKind=made.artifact.kind,
                artifactSize=made.artifact.size,
                artifactFiles=made.artifact.files,
                components=[asdict(component) for component in made.components],
            ),
        },
    )


def _run_facets(described: RunDescription) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {"backstory_training": _training(described)}
    if described.environment is not None:
        facets["processing_engine"] = processing_engine_run.ProcessingEngineRunFacet(
            name="python",
            version=described.environment.python,
            openlineageAdapterVersion=installed_version("backstory"),
            producer=producer(),
        )
    if described.params:
        facets["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(
            parameters=[
                execution_parameters_run.ExecutionParameter(key=name, value=_text(plain(value)))
                for name, value in described.params.items()
            ],
            producer=producer(),
        )
    if described.trigger is not None:
        facets["backstory_trigger"] = _own(
            RunFacet, "BackstoryTriggerRunFacet", **described.trigger.to_json()
        )
    if described.command is not None:
        facets["backstory_command"] = _own(
            RunFacet,
            "BackstoryCommandRunFacet",
            command=list(described.command.argv),
            exitCode=described.command.exit_code,
            signal=described.command.signal,
        )
    if described.abandoned is not None:
        facets["backstory_abandoned"] = _own(
            RunFacet, "BackstoryAbandonedRunFacet", reason=described.abandoned
        )
    if described.error is not None:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=described.error, programmingLanguage="python", producer=producer()
        )
    return facets


def _training(described: RunDescription) -> Any:
    dataset = {"rows": described.dataset_rows, "digest": described.dataset_digest}
    return _own(
        RunFacet,
        "BackstoryTrainingRunFacet",
        model=described.model,
        params=plain(described.params),
        metrics=plain(described.metrics),
        seed=described.seed,
        dataset=dataset if described.dataset_digest else None,
        code=_code(described.code) if described.code else None,
        environment=_environment(described.environment) if described.environment else None,
    )


def _code(code: Code) -> dict[str, Any]:
    return {
        "commit": code.commit,
        "repository": code.repository,
        "dirty": code.dirty,
        "patchDigest": code.patch_digest,
        "command": list(code.command),
    }


def _environment(environment: Environment) -> dict[str, Any]:
    return {
        "python": environment.python,
        "platform": environment.platform,
        "lockFile": environment.lock_file,
        "lockDigest": environment.lock_digest,
    }


def _job_facets(described: RunDescription) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration=INTEGRATION, jobType="TRAINING", producer=producer()
        )
    }
    code = described.code
    if code is not None and code.repository and (url := _uri(code.repository)):
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git",
            url=url,
            repoUrl=code.repository,
            version=code.commit,
            producer=producer(),
        )
    return facets


def _uri(remote: str) -> str | None:
    """Git's name of a repository as a URI, which the facet asks for; None where it has none."""
    if "://" in remote:
        return remote
    host, colon, path = remote.partition(":")
    if colon and "/" not in host:  # user@host:path
        return f"ssh://{host}/{path.lstrip('/')}"
    return PurePosixPath(remote).as_uri() if remote.startswith("/") else None


def _version(number: int) -> dataset_version_dataset.DatasetVersionDatasetFacet:
    return dataset_version_dataset.DatasetVersionDatasetFacet(
        datasetVersion=str(number), producer=producer()
    )


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _own(base: type, name: str, **body: Any) -> Any:
    """A facet of ours: `base` says what it may stand on, `name` which schema describes it."""
    return _own_class(base, name)(producer=producer()).with_additional_properties(**body)


@cache
def _own_class(base: type, name: str) -> type:
    # A class written out per facet would only repeat its schema's camel-cased names once more.
    url = schema_url(name)
    return type(name, (base,), {"_get_schema": staticmethod(lambda: url)})
