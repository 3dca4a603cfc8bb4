"""What was superseded; loads, processes, retention, links, requests, outbox, quarantines, files.

A version may be known from a declaration, whose artifact may lie elsewhere, unhashed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# SQLite gives an autoincrementing key only to INTEGER.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SUPERSEDABLE = ("edge", "run_read")
_EDGE_KEY: list[str | sa.TextClause] = ["src", "dst", "kind", sa.text("coalesce(run, 0)")]
_HOLDING = sa.text("ended_seq IS NULL")
_DIGESTS = ("artifact", "declared_digest")  # a version is looked up by them


def upgrade() -> None:
    for table in _SUPERSEDABLE:
        op.add_column(table, sa.Column("ended_seq", sa.BigInteger()))
    op.drop_index("uq_edge", "edge")
    op.create_index(
        "uq_edge",
        "edge",
        _EDGE_KEY,
        unique=True,
        sqlite_where=_HOLDING,
        postgresql_where=_HOLDING,
    )
    op.add_column("model_version", sa.Column("artifact_uri", sa.Text()))
    op.add_column("model_version", sa.Column("declared_digest", sa.String(64)))
    op.add_column("model_version", sa.Column("training", sa.Text()))
    op.add_column("model_version", sa.Column("evidence", sa.String(16)))
    _artifact_may_be_absent(absent=True)
    for column in _DIGESTS:
        op.create_index(f"ix_model_version_{column}", "model_version", [column])
    op.create_index("ix_commit_slice_source_offset", "commit", ["slice", "source", "offset"])
    op.create_index("ix_commit_slice_batch", "commit", ["slice", "batch"])
    op.create_index("ix_audit_leaf_at", "audit_leaf", ["at"])
    _processes()
    _retention()
    _loads()
    _interaction_links()
    _feedback_matches()
    _amendments()
    _declarations()
    _feedback_requests()
    _outbox()
    _quarantines()
    _file_changes()


def downgrade() -> None:
    for table in (
        "quarantine_end",
        "quarantine",
        "file_change",
        "outbox",
        "feedback_request",
        "declaration",
        "amendment",
        "feedback_match",
        "interaction_link",
        "load",
        "retention",
        "run_process",
    ):
        op.drop_table(table)
    op.drop_index("ix_audit_leaf_at", "audit_leaf")
    op.drop_index("ix_commit_slice_batch", "commit")
    op.drop_index("ix_commit_slice_source_offset", "commit")
    for column in _DIGESTS:
        op.drop_index(f"ix_model_version_{column}", "model_version")
    _artifact_may_be_absent(absent=False)
    for column in ("evidence", "training", "declared_digest", "artifact_uri"):
        op.drop_column("model_version", column)
    op.drop_index("uq_edge", "edge")
    for table in _SUPERSEDABLE:
        op.drop_column(table, "ended_seq")
    op.create_index("uq_edge", "edge", _EDGE_KEY, unique=True)


def _artifact_may_be_absent(*, absent: bool) -> None:
    with op.batch_alter_table("model_version") as table:  # SQLite makes the table anew
        table.alter_column("artifact", existing_type=sa.String(64), nullable=absent)


def _recorded() -> sa.Column[int]:
    return sa.Column("recorded_seq", sa.BigInteger(), nullable=False)


def _processes() -> None:
    op.create_table(
        "run_process",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run", _KEY, sa.ForeignKey("run.id"), nullable=False, index=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Text(), nullable=False),
        _recorded(),
    )


def _retention() -> None:
    op.create_table(
        "retention",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("holder", _KEY, sa.ForeignKey("entity.id"), index=True),
        sa.Column("pin", _KEY, sa.ForeignKey("pin.id"), index=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _recorded(),
        sa.Column("ended_seq", sa.BigInteger()),
    )


def _loads() -> None:
    op.create_table(
        "load",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column(
            "model_version", _KEY, sa.ForeignKey("model_version.id"), nullable=False, index=True
        ),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("environment", sa.String(255)),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _recorded(),
        sa.Index(None, "environment", "at"),
    )


def _interaction_links() -> None:
    op.create_table(
        "interaction_link",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("model", sa.String(255), nullable=False, index=True),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("evidence", sa.String(16), nullable=False),
        _recorded(),
        sa.Column("ended_seq", sa.BigInteger()),
    )


def _feedback_matches() -> None:
    op.create_table(
        "feedback_match",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(255)),
        sa.Column("number", sa.Integer()),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        _recorded(),
        sa.Column("ended_seq", sa.BigInteger()),
    )
    op.create_index("ix_feedback_match_slice_version", "feedback_match", ["slice", "version"])


def _amendments() -> None:
    op.create_table(
        "amendment",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("entity", _KEY, sa.ForeignKey("entity.id"), nullable=False, index=True),
        sa.Column("fact", sa.String(32), nullable=False),
        sa.Column("before", _KEY),
        sa.Column("after", _KEY),
        sa.Column("reason", sa.Text(), nullable=False),
        _recorded(),
    )


def _declarations() -> None:
    op.create_table(
        "declaration",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column(
            "model_version", _KEY, sa.ForeignKey("model_version.id"), nullable=False, index=True
        ),
        sa.Column("artifact_uri", sa.Text()),
        sa.Column("declared_digest", sa.String(64), index=True),
        _recorded(),
        sa.Column("ended_seq", sa.BigInteger()),
    )


def _feedback_requests() -> None:
    op.create_table(
        "feedback_request",
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.String(64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("slice", "key"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("receiver", sa.String(64), nullable=False),
        sa.Column("event", _KEY, sa.ForeignKey("openlineage_event.id"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("receiver", "event"),
    )


def _quarantines() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("file", sa.Text()),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        _recorded(),
        sa.UniqueConstraint("slice", "version"),
    )
    op.create_table(
        "quarantine_end",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("quarantine", _KEY, sa.ForeignKey("quarantine.id"), nullable=False, index=True),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger()),
        _recorded(),
    )


def _file_changes() -> None:
    op.create_table(
        "file_change",
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("rows", sa.BigInteger()),
        _recorded(),
        sa.PrimaryKeyConstraint("slice", "version", "path"),
        sa.Index(None, "slice", "path"),
    )
