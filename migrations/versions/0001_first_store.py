"""The store as it was first laid.

A revision imports none of our code: it stays what it was when the code moves on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives an autoincrementing key only to INTEGER.
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_TABLES = (
    "entity",
    "edge",
    "name",
    "slice",
    "contract",
    "commit",
    "snapshot",
    "pin",
    "run",
    "run_state",
    "run_facet",
    "run_read",
    "openlineage_event",
    "artifact",
    "model_version",
    "component",
    "alias",
    "deployment",
    "deployment_interval",
    "interaction_file",
    "audit_leaf",
    "audit_node",
)


def upgrade() -> None:
    _graph()
    _slices()
    _snapshots()
    _runs()
    _model_versions()
    _serving()
    _audit_log()
    _append_only()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only()")


def _entity_key() -> sa.Column[int]:
    return sa.Column("id", _KEY, sa.ForeignKey("entity.id"), primary_key=True, autoincrement=False)


def _recorded() -> sa.Column[int]:
    return sa.Column("recorded_seq", sa.BigInteger(), nullable=False)


def _ended() -> sa.Column[int]:
    return sa.Column("ended_seq", sa.BigInteger())


def _graph() -> None:
    op.create_table(
        "entity",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, unique=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Index(None, "kind", "id"),
    )
    op.create_table(
        "edge",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("src", _KEY, sa.ForeignKey("entity.id"), nullable=False),
        sa.Column("dst", _KEY, sa.ForeignKey("entity.id"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("run", _KEY, sa.ForeignKey("entity.id")),
        sa.Column("evidence", sa.String(16), nullable=False),
        sa.Column("rows", sa.BigInteger()),
        sa.Column("share", sa.Float()),
        _recorded(),
        sa.Index(None, "src", "dst"),
        sa.Index(None, "dst", "src"),
    )
    op.create_index(
        "uq_edge", "edge", ["src", "dst", "kind", sa.text("coalesce(run, 0)")], unique=True
    )
    op.create_table(
        "name",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("entity", _KEY, sa.ForeignKey("entity.id"), nullable=False, unique=True),
        _recorded(),
    )


def _slices() -> None:
    op.create_table(
        "slice",
        _entity_key(),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("flavour", sa.String(16), nullable=False),
        sa.Column("table_id", sa.String(64), nullable=False),
        sa.Column("uri", sa.Text()),
        _recorded(),
    )
    op.create_table(
        "contract",
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("slice", "version"),
    )
    op.create_table(
        "commit",
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("source", sa.Text()),
        sa.Column("offset", sa.BigInteger()),
        sa.Column("batch", sa.String(64)),
        sa.Column("rows", sa.BigInteger()),
        sa.Column("contract_version", sa.Integer()),
        sa.Column("actor", sa.Text()),
        sa.Column("log_digest", sa.String(64), nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("slice", "version"),
        sa.Index(None, "slice", "at"),
    )


def _snapshots() -> None:
    op.create_table(
        "snapshot",
        _entity_key(),
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        _recorded(),
        sa.UniqueConstraint("slice", "version"),
    )
    op.create_table(
        "pin",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("pin_id", sa.String(36), nullable=False, unique=True),
        sa.Column("snapshot", _KEY, sa.ForeignKey("snapshot.id"), nullable=False, index=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("strength", sa.String(16), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _recorded(),
        _ended(),
    )


def _runs() -> None:
    op.create_table(
        "run",
        _entity_key(),
        sa.Column("run_id", sa.Text(), nullable=False, unique=True),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("model", sa.String(255), index=True),
        sa.Column("trigger", sa.Text()),
        _recorded(),
    )
    op.create_table(
        "run_state",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run", _KEY, sa.ForeignKey("run.id"), nullable=False, index=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text()),
        _recorded(),
    )
    op.create_table(
        "run_facet",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run", _KEY, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _recorded(),
        _ended(),
        sa.Index(None, "run", "key"),
    )
    op.create_table(
        "run_read",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run", _KEY, sa.ForeignKey("run.id"), nullable=False, index=True),
        sa.Column("snapshot", _KEY, sa.ForeignKey("snapshot.id"), nullable=False, index=True),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("columns", sa.Text()),
        sa.Column("filter", sa.Text()),
        sa.Column("rows", sa.BigInteger()),
        _recorded(),
    )
    op.create_table(
        "openlineage_event",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("run_id", sa.Text(), index=True),
        sa.Column("event_type", sa.String(16)),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _recorded(),
    )


def _model_versions() -> None:
    op.create_table(
        "artifact",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        _recorded(),
    )
    op.create_table(
        "model_version",
        _entity_key(),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run", _KEY, sa.ForeignKey("run.id"), index=True),
        sa.Column("artifact", sa.String(64), sa.ForeignKey("artifact.digest"), nullable=False),
        sa.Column("replay", sa.Text()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _recorded(),
        sa.UniqueConstraint("model", "number"),
    )
    op.create_table(
        "component",
        _entity_key(),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64)),
        _recorded(),
        sa.UniqueConstraint("kind", "name", "version"),
    )
    op.create_table(
        "alias",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("alias", sa.String(64), nullable=False),
        sa.Column("model_version", _KEY, sa.ForeignKey("model_version.id"), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger()),
        _recorded(),
        _ended(),
        sa.Index(None, "model", "alias"),
    )


def _serving() -> None:
    op.create_table(
        "deployment",
        _entity_key(),
        sa.Column("environment", sa.String(255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "model_version", _KEY, sa.ForeignKey("model_version.id"), nullable=False, index=True
        ),
        sa.Column("mode", sa.String(16), nullable=False),
        _recorded(),
        sa.UniqueConstraint("environment", "number"),
    )
    op.create_table(
        "deployment_interval",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("deployment", _KEY, sa.ForeignKey("deployment.id"), nullable=False, index=True),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger()),
        _recorded(),
        _ended(),
        sa.CheckConstraint("share >= 0 AND share <= 1", name="share"),
        sa.CheckConstraint("until_at IS NULL OR until_at >= from_at", name="interval"),
    )
    op.create_table(
        "interaction_file",
        sa.Column("slice", _KEY, sa.ForeignKey("slice.id"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("min_id", sa.String(36), nullable=False),
        sa.Column("max_id", sa.String(36), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        _recorded(),
        sa.PrimaryKeyConstraint("slice", "path"),
        sa.Index(None, "min_id", "max_id"),
    )


def _audit_log() -> None:
    op.create_table(
        "audit_leaf",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx"),
    )


def _append_only() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
        )
        for table in ("audit_leaf", "audit_node"):
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
                f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
            )
    else:
        for table in ("audit_leaf", "audit_node"):
            for change in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
                )
