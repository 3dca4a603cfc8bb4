"""The standard facets that tell of an input's quality: metrics of its columns, and assertions."""

from openlineage.client.facet_v2 import (
    InputDatasetFacet,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
)

from backstory.lake.profile import ColumnKind, ColumnProfile
from backstory.lineage.openlineage.events import InputDescription


def quality_facets(read: InputDescription, producer: str) -> dict[str, InputDatasetFacet]:
    """The facets of an input; none where nothing is known of its quality."""
    quality = read.quality
    if quality is None:
        return {}
    metrics: InputDatasetFacet = (
        data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
            rowCount=quality.profile.rows,
            bytes=read.snapshot.size,
            fileCount=len(read.snapshot.manifest.files),
            columnMetrics={n: _metrics(c) for n, c in quality.profile.columns.items()},
            producer=producer,
        )
    )
    if not quality.assertions:
        return {"dataQualityMetrics": metrics}
    assertions = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[
            data_quality_assertions_dataset.Assertion(
                assertion=one.assertion,
                success=one.success,
                column=one.column,
                expected=one.expected,
                actual=one.actual,
            )
            for one in quality.assertions
        ],
        producer=producer,
    )
    return {"dataQualityMetrics": metrics, "dataQualityAssertions": assertions}


def _metrics(column: ColumnProfile) -> data_quality_metrics_input_dataset.ColumnMetrics:
    """Bounds are numbers there; a distinct count that is only a lower bound is left out."""
    is_number = column.kind is ColumnKind.NUMBER
    is_partial = column.sampled and column.kind is ColumnKind.TEXT
    distinct = column.distinct.estimate if column.distinct and not is_partial else None
    return data_quality_metrics_input_dataset.ColumnMetrics(
        nullCount=column.nulls,
        count=float(column.rows - column.nulls),
        distinctCount=distinct,
        min=float(column.low) if is_number and column.low is not None else None,
        max=float(column.high) if is_number and column.high is not None else None,
    )
