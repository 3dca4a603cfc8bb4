"""What the store's tables share: their metadata, and the columns that stand in many of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, MetaData

from backstory.lineage.store.column_types import Key

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def entity_key() -> Column[int]:
    """The key of a row that is a node of the graph too."""
    return Column("id", Key, ForeignKey("entity.id"), primary_key=True, autoincrement=False)


def recorded() -> Column[int]:
    """The audit leaf that a row came with."""
    return Column("recorded_seq", BigInteger, nullable=False)


def ended() -> Column[int]:
    """The audit leaf that ended a row; NULL while it holds."""
    return Column("ended_seq", BigInteger)
