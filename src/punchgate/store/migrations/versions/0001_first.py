"""Everything that the first version keeps: the tables, what guards them, and the account `main`."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: What a device said: the database itself refuses to change it (docs/invariants.md, I2).
SAID = (
    "account, punch_id, serial, user_code, wall_time, time_text, received_at, direction_code,"
    " verify_code, code_table, transport, latitude, longitude, accuracy_m, temperature_c, mask,"
    " work_code, raw"
)

SQLITE_GUARDS = (
    f"""CREATE TRIGGER punch_keeps BEFORE UPDATE OF {SAID} ON punch BEGIN
        SELECT RAISE(ABORT, 'what a device said never changes'); END""",
    """CREATE TRIGGER punch_stays BEFORE DELETE ON punch
        WHEN NOT EXISTS (SELECT 1 FROM removal
                         WHERE account = OLD.account AND user_code = OLD.user_code) BEGIN
        SELECT RAISE(ABORT, 'only erasure and retention take a punch away'); END""",
    """CREATE TRIGGER event_keeps BEFORE UPDATE OF account, seq, id, key, type, occurred_at,
        received_at ON event BEGIN
        SELECT RAISE(ABORT, 'the log is append only'); END""",
    """CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN
        SELECT RAISE(ABORT, 'the log is append only'); END""",
    """CREATE TRIGGER event_body_keeps BEFORE UPDATE OF body ON event
        WHEN NOT EXISTS (SELECT 1 FROM removal
                         WHERE account = OLD.account AND 'person:' || user_code = OLD.key) BEGIN
        SELECT RAISE(ABORT, 'only erasure blanks an event'); END""",
    """CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit log is append only'); END""",
    """CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit log is append only'); END""",
)

POSTGRES_GUARDS = (
    """CREATE FUNCTION punchgate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$""",
    """CREATE FUNCTION punchgate_may_remove() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT 1 FROM removal
                     WHERE account = OLD.account AND user_code = OLD.user_code) THEN
            RETURN OLD;
          END IF;
          RAISE EXCEPTION 'only erasure and retention take a punch away';
        END $$""",
    """CREATE FUNCTION punchgate_may_blank() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (SELECT 1 FROM removal
                     WHERE account = OLD.account AND 'person:' || user_code = OLD.key) THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'only erasure blanks an event';
        END $$""",
    f"""CREATE TRIGGER punch_keeps BEFORE UPDATE OF {SAID} ON punch FOR EACH ROW
        EXECUTE FUNCTION punchgate_refuse('what a device said never changes')""",
    """CREATE TRIGGER punch_stays BEFORE DELETE ON punch FOR EACH ROW
        EXECUTE FUNCTION punchgate_may_remove()""",
    """CREATE TRIGGER event_keeps BEFORE UPDATE OF account, seq, id, key, type, occurred_at,
        received_at ON event FOR EACH ROW
        EXECUTE FUNCTION punchgate_refuse('the log is append only')""",
    """CREATE TRIGGER event_stays BEFORE DELETE ON event FOR EACH ROW
        EXECUTE FUNCTION punchgate_refuse('the log is append only')""",
    """CREATE TRIGGER event_body_keeps BEFORE UPDATE OF body ON event FOR EACH ROW
        EXECUTE FUNCTION punchgate_may_blank()""",
    """CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE ON audit FOR EACH ROW
        EXECUTE FUNCTION punchgate_refuse('the audit log is append only')""",
    # TRUNCATE asks no trigger of a row.
    *(
        f"""CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT
        EXECUTE FUNCTION punchgate_refuse('this table is never emptied')"""
        for table in ("punch", "event", "audit")
    ),
)

POSTGRES_LOG = (
    # A reader stops below unfinished transactions, so every entry knows its own.
    "ALTER TABLE event ALTER COLUMN tx SET DEFAULT (pg_current_xact_id()::text::bigint)",
    "CREATE INDEX event_position ON event (account, tx, seq)",
)


def upgrade() -> None:
    """Build the tables, their guards and the first rows."""
    _tables()
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for statement in (*POSTGRES_LOG, *POSTGRES_GUARDS) if is_postgres else SQLITE_GUARDS:
        op.execute(statement)
    now = int(context.config.attributes["now"])
    op.execute(
        "INSERT INTO installation (one, revision, generation, created_at, probed_at)"
        f" VALUES (1, 1, 1, {now}, {now})"
    )
    op.execute(
        f"INSERT INTO account (no, name, next_person, created_at) VALUES (1, 'main', 1, {now})"
    )


def _tables() -> None:
    op.create_table(
        "account",
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("next_person", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("no"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "api_key",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=True),
        sa.Column(
            "expires_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "revoked_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "last_used_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("account", "key_id"),
        sa.UniqueConstraint("key_id", name="api_key_id"),
    )
    op.create_table(
        "audit",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column(
            "no",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("no"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "device",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("site", sa.Text(), nullable=True),
        sa.Column("engine", sa.String(length=8), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("valid_until", sa.String(length=10), nullable=True),
        sa.Column("is_suspended", sa.Boolean(), nullable=False),
        sa.Column("direction_policy", sa.String(length=20), nullable=False),
        sa.Column("directions", sa.Text(), nullable=True),
        sa.Column("verify_methods", sa.Text(), nullable=True),
        sa.Column("heartbeat_interval_s", sa.Integer(), nullable=False),
        sa.Column("poll_interval_s", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "removed_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.PrimaryKeyConstraint("account", "device_id"),
    )
    op.create_index(
        "device_serial",
        "device",
        ["serial"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "event",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column(
            "tx",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column(
            "occurred_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "received_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("account", "id", name="event_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "installation",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("system_identifier", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "probed_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "person",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("person_no", sa.Integer(), nullable=False),
        sa.Column("user_code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("custom_id", sa.String(length=64), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("account", "person_no"),
        sa.UniqueConstraint("account", "user_code", name="person_code"),
    )
    op.create_index(
        "person_custom_id",
        "person",
        ["account", "custom_id"],
        unique=True,
        sqlite_where=sa.text("custom_id IS NOT NULL"),
        postgresql_where=sa.text("custom_id IS NOT NULL"),
    )
    op.create_table(
        "presence",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column(
            "last_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "device_id"),
    )
    op.create_table(
        "punch",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("punch_id", sa.String(length=26), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("user_code", sa.String(length=64), nullable=False),
        sa.Column("wall_time", sa.String(length=19), nullable=False),
        sa.Column("time_text", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("zone_source", sa.String(length=12), nullable=False),
        sa.Column("utc_offset_s", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "received_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "direction_code", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("direction", sa.String(length=12), nullable=False),
        sa.Column(
            "verify_code", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("verify", sa.String(length=8), nullable=False),
        sa.Column("code_table", sa.String(length=8), nullable=False),
        sa.Column("transport", sa.String(length=8), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("accuracy_m", sa.Float(), nullable=True),
        sa.Column("temperature_c", sa.Float(), nullable=True),
        sa.Column("mask", sa.Boolean(), nullable=True),
        sa.Column("work_code", sa.Text(), nullable=True),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "punch_id"),
    )
    op.create_table(
        "quarantine",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("quarantine_id", sa.String(length=26), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("transport", sa.String(length=8), nullable=False),
        sa.Column(
            "received_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column(
            "decided_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("punch_id", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint("account", "quarantine_id"),
    )
    op.create_index(
        "quarantine_state", "quarantine", ["account", "state", "received_at"], unique=False
    )
    op.create_table(
        "rate_window",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column(
            "started_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "key_id", "name"),
    )
    op.create_table(
        "removal",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("user_code", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("account", "user_code"),
    )
    op.create_table(
        "unclaimed",
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=8), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=True),
        sa.Column(
            "first_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "last_seen_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("serial"),
    )
    op.create_table(
        "workday",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("person_no", sa.Integer(), nullable=False),
        sa.Column("is_off_shift", sa.Boolean(), nullable=False),
        sa.Column("is_present", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "computed_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("account", "date", "person_no", "is_off_shift"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workday_count",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", "date"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workday_policy",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("person_no", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.PrimaryKeyConstraint("account", "person_no", "valid_from"),
    )
    op.create_table(
        "workday_stale",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("date", sa.String(length=10), nullable=False),
        sa.Column("person_no", sa.Integer(), nullable=False),
        sa.Column("touch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("account", "date", "person_no"),
        sqlite_with_rowid=False,
    )
