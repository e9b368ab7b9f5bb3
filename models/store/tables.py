"""The store's tables, for SQLite and PostgreSQL alike, and the version of their shape.

All text is inside JSON columns, which take any string on both.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
"""Of these tables. A store of a newer one is refused, and nothing in it touched."""

METADATA = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")

SCHEMA = Table("ucbd_schema", METADATA, Column("version", Integer, primary_key=True))

REQUESTS = Table(
    "ucbd_requests",
    METADATA,
    Column("number", _Number, primary_key=True),
    Column("id", String, unique=True, nullable=False),
    Column("asked_at", Float(53), nullable=False),
    Column("model", String, nullable=False),
    Column("model_revision", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("boundary", String, nullable=False),
    Column("uncertainty", Float(53)),
    Column("confidence", Float(53)),
    Column("rung", String),
    Column("certificate", String),
    Column("risk_upper", Float(53)),
    Column("served_by", String),
    Column("audit", Boolean, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("stages", JSON, nullable=False),
    Column("text", JSON(none_as_null=True)),
    Column("completion", JSON(none_as_null=True)),
    Index("ucbd_requests_drawn", "audit", "number"),
    Index("ucbd_requests_time", "asked_at"),
    sqlite_autoincrement=True,
)

LABELS = Table(
    "ucbd_labels",
    METADATA,
    Column("number", _Number, primary_key=True),
    Column(
        "request",
        _Number,
        ForeignKey(REQUESTS.c.number, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("source", String, nullable=False),
    Column("correct", Boolean, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("said", JSON, nullable=False),  # by whom, and a note
    UniqueConstraint("request", "source"),
    Index("ucbd_labels_source", "source", "number"),
    sqlite_autoincrement=True,
)

MONITORS = Table(
    "ucbd_monitors",
    METADATA,
    Column("policy", String, primary_key=True),
    Column("reference", String, primary_key=True),
    Column("seen", _Number, nullable=False),
    Column("state", JSON, nullable=False),
)
