"""The tables, each with the sentence that says what one row is.

Keys begin with the account, so that a large installation can be partitioned or distributed by it;
the exceptions (`account` itself, `unclaimed`, `installation`) belong to the installation. Instants
are whole numbers since 1970-01-01 UTC (`*_at` in milliseconds, `punch.at` in seconds), dates are
`YYYY-MM-DD`. The migrations build the same tables; a test compares the two on both databases.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

#: SQLite calls only `INTEGER PRIMARY KEY` its row number, so big integers are plain ones there.
Big = BigInteger().with_variant(Integer(), "sqlite")

#: The installation: one row. `revision` grows with every change of account, device, key, person or
#: policy, so that a process can tell with one read that what it remembers is still so.
installation = Table(
    "installation",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("revision", Big, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("system_identifier", Text),
    Column("created_at", Big, nullable=False),
    Column("probed_at", Big, nullable=False),
    # What the cursors of the pull twin are signed with: random, made by the migration, never null.
    Column("cursor_secret", LargeBinary),
)

#: An account: whose data it is. `name` never changes: it is part of every punch id.
account = Table(
    "account",
    metadata,
    Column("no", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False, unique=True),
    Column("zone", Text),
    Column("next_person", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
)

#: A workday policy: rules as data (JSON), for an account (`person_no` 0) or one person, valid from
#: a date.
workday_policy = Table(
    "workday_policy",
    metadata,
    Column("account", Integer, nullable=False),
    Column("person_no", Integer, nullable=False),
    Column("valid_from", String(10), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Big, nullable=False),
    PrimaryKeyConstraint("account", "person_no", "valid_from"),
)

#: A device, claimed. A removed one keeps its row (old punches name it) but not its serial, which
#: may be added again.
device = Table(
    "device",
    metadata,
    Column("account", Integer, nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("name", Text),
    Column("zone", Text),
    Column("site", Text),
    Column("engine", String(8), nullable=False),
    Column("token_hash", LargeBinary),
    Column("valid_until", String(10)),
    Column("is_suspended", Boolean, nullable=False),
    Column("direction_policy", String(20), nullable=False),
    Column("directions", Text),
    Column("verify_methods", Text),
    Column("heartbeat_interval_s", Integer, nullable=False),
    Column("poll_interval_s", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("removed_at", Big),
    PrimaryKeyConstraint("account", "device_id"),
)
Index(
    "device_serial",
    device.c.serial,
    unique=True,
    sqlite_where=text("removed_at IS NULL"),
    postgresql_where=text("removed_at IS NULL"),
)

#: When a device was last heard from; flushed in batches, never once per heartbeat.
presence = Table(
    "presence",
    metadata,
    Column("account", Integer, nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("last_seen_at", Big, nullable=False),
    Column("address", Text),
    # Whether the log has told of it as online, and since when that or the opposite holds.
    Column("is_online", Boolean, nullable=False, server_default=false()),
    Column("since", Big, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("account", "device_id"),
)

#: A serial that called and that nobody has claimed: metadata only, kept for a day.
unclaimed = Table(
    "unclaimed",
    metadata,
    Column("serial", String(64), primary_key=True),
    Column("engine", String(8), nullable=False),
    Column("address", Text),
    Column("operation", Text),
    Column("first_seen_at", Big, nullable=False),
    Column("last_seen_at", Big, nullable=False),
    Column("requests", Integer, nullable=False),
    # When the log last told of it; at most once a day.
    Column("told_at", Big),
)

#: Someone who punches. `person_no` is counted up per account and never reused.
person = Table(
    "person",
    metadata,
    Column("account", Integer, nullable=False),
    Column("person_no", Integer, nullable=False),
    Column("user_code", String(64), nullable=False),
    Column("name", Text),
    Column("custom_id", String(64)),
    Column("type", Text),
    Column("created_at", Big, nullable=False),
    PrimaryKeyConstraint("account", "person_no"),
    UniqueConstraint("account", "user_code", name="person_code"),
)
Index(
    "person_custom_id",
    person.c.account,
    person.c.custom_id,
    unique=True,
    sqlite_where=text("custom_id IS NOT NULL"),
    postgresql_where=text("custom_id IS NOT NULL"),
)

#: An API key; only the SHA-256 of its secret is kept. `scopes` and `devices` are names joined by
#: blanks.
api_key = Table(
    "api_key",
    metadata,
    Column("account", Integer, nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("devices", Text),
    Column("expires_at", Big),
    Column("revoked_at", Big),
    Column("last_used_at", Big),
    Column("created_at", Big, nullable=False),
    # Reports within a window; 0 is no limit, null what the settings say.
    Column("report_requests", Integer),
    PrimaryKeyConstraint("account", "key_id"),
    UniqueConstraint("key_id", name="api_key_id"),
)

#: How many requests a key has used of its current window; in the store, so that a restart does not
#: give them back.
rate_window = Table(
    "rate_window",
    metadata,
    Column("account", Integer, nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("name", String(16), nullable=False),
    Column("started_at", Big, nullable=False),
    Column("used", Integer, nullable=False),
    PrimaryKeyConstraint("account", "key_id", "name"),
)

#: One attendance event: what the device said, and what was derived from it at the door
#: (`domain.punch.Punch`).
punch = Table(
    "punch",
    metadata,
    Column("account", Integer, nullable=False),
    Column("punch_id", String(26), nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("user_code", String(64), nullable=False),
    Column("wall_time", String(19), nullable=False),
    Column("time_text", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("zone_source", String(12), nullable=False),
    Column("utc_offset_s", Integer, nullable=False),
    Column("at", Big, nullable=False),
    Column("received_at", Big, nullable=False),
    Column("direction_code", Big),
    Column("direction", String(12), nullable=False),
    Column("verify_code", Big),
    Column("verify", String(8), nullable=False),
    Column("code_table", String(8), nullable=False),
    Column("transport", String(8), nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("accuracy_m", Float),
    Column("temperature_c", Float),
    Column("mask", Boolean),
    Column("work_code", Text),
    Column("flags", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    # Time leads the id: with the person first, inserts are 14 times slower at ten million rows.
    PrimaryKeyConstraint("account", "punch_id"),
)

#: One entry of the event log, appended in the transaction of its cause. Only erasure blanks a body.
event = Table(
    "event",
    metadata,
    Column("account", Integer, nullable=False),
    Column("seq", Big, primary_key=True, autoincrement=True),
    # The transaction that wrote it, so that a reader can stop below unfinished ones; 0 on SQLite.
    Column("tx", Big, nullable=False, server_default=text("0")),
    Column("id", String(40), nullable=False),
    Column("key", Text, nullable=False),
    Column("type", String(32), nullable=False),
    Column("occurred_at", Big, nullable=False),
    Column("received_at", Big, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("account", "id", name="event_id"),
    sqlite_autoincrement=True,
)

#: An item that cannot be a punch yet: its bytes and why. `reading` tells it from the same bytes of
#: another day's clock.
quarantine = Table(
    "quarantine",
    metadata,
    Column("account", Integer, nullable=False),
    Column("quarantine_id", String(26), nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("serial", String(64), nullable=False),
    Column("transport", String(8), nullable=False),
    Column("received_at", Big, nullable=False),
    Column("reason", String(24), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("codec", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("decided_at", Big),
    Column("note", Text),
    Column("punch_id", String(26)),
    PrimaryKeyConstraint("account", "quarantine_id"),
)
Index("quarantine_state", quarantine.c.account, quarantine.c.state, quarantine.c.received_at)

#: A person's derived day, computed from punches and computable again. A day whose last punch moved
#: away stays with `is_present` false, so that its version rises if it comes back.
workday = Table(
    "workday",
    metadata,
    Column("account", Integer, nullable=False),
    Column("date", String(10), nullable=False),
    Column("person_no", Integer, nullable=False),
    Column("is_off_shift", Boolean, nullable=False),
    Column("is_present", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    #: The computed day and its punches as JSON (`store/workdays.py`).
    Column("body", Text, nullable=False),
    Column("computed_at", Big, nullable=False),
    PrimaryKeyConstraint("account", "date", "person_no", "is_off_shift"),
    sqlite_with_rowid=False,
)

#: How many rows of `workday` are present on a date, so that a page's total costs no count.
workday_count = Table(
    "workday_count",
    metadata,
    Column("account", Integer, nullable=False),
    Column("date", String(10), nullable=False),
    Column("days", Integer, nullable=False),
    PrimaryKeyConstraint("account", "date"),
    sqlite_with_rowid=False,
)

#: A day of a person that a punch has touched since it was computed. `touch` tells whether it was
#: touched again meanwhile.
workday_stale = Table(
    "workday_stale",
    metadata,
    Column("account", Integer, nullable=False),
    Column("date", String(10), nullable=False),
    Column("person_no", Integer, nullable=False),
    Column("touch", Big, nullable=False),
    # Why, where it was not a punch: what `summary.updated` says.
    Column("reason", String(16)),
    PrimaryKeyConstraint("account", "date", "person_no"),
    sqlite_with_rowid=False,
)

#: An account whose rules have changed: from this place on, each of its days makes those up to
#: `beside` dates around it stale, though no mark says so yet. `touch` is what they are marked with.
workday_change = Table(
    "workday_change",
    metadata,
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("date", String(10), nullable=False),
    Column("person_no", Integer, nullable=False),
    Column("beside", Integer, nullable=False),
    Column("touch", Big, nullable=False),
)

#: Who changed what, from where; append only. `before` and `after` are JSON with secrets left out.
audit = Table(
    "audit",
    metadata,
    Column("account", Integer, nullable=False),
    Column("no", Big, primary_key=True, autoincrement=True),
    Column("at", Big, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    sqlite_autoincrement=True,
)

#: Permission, inside one transaction, to take away what a person's device said: only erasure and
#: retention write here.
removal = Table(
    "removal",
    metadata,
    Column("account", Integer, nullable=False),
    Column("user_code", String(64), nullable=False),
    PrimaryKeyConstraint("account", "user_code"),
)

#: A receiver of webhooks. `secrets` are sealed (`vault.seal`); a removed one keeps its row, because
#: attempts and dead letters name it.
endpoint = Table(
    "endpoint",
    metadata,
    Column("account", Integer, nullable=False),
    Column("endpoint_id", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("format", String(12), nullable=False),
    #: What it wants to hear (`domain.endpoint.Filter`), as JSON.
    Column("filter", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    #: How it is sent to (`domain.endpoint.Pace`), as JSON.
    Column("pace", Text, nullable=False),
    Column("unspecified_as", String(3), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("removed_at", Big),
    Column("state", String(8), nullable=False),
    Column("state_since", Big, nullable=False),
    Column("state_reason", Text),
    #: When a failing one may be tried again, and how often it was since it began to fail.
    Column("retry_at", Big),
    Column("failures", Integer, nullable=False),
    PrimaryKeyConstraint("account", "endpoint_id"),
)

#: How far an endpoint has come in its account's log: every event up to here is delivered, filtered
#: out, parked or dead. Whoever holds the lease moves it; `epoch` tells an old holder from a new
#: one.
cursor = Table(
    "cursor",
    metadata,
    Column("account", Integer, nullable=False),
    Column("endpoint_id", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("tx", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at", Big, nullable=False),
    Column("lease_owner", String(32)),
    Column("lease_until", Big, nullable=False),
    Column("epoch", Integer, nullable=False),
    PrimaryKeyConstraint("account", "endpoint_id"),
)

#: A process that delivers, while it is alive: so that several can share the endpoints.
process = Table(
    "process",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("seen_at", Big, nullable=False),
)

#: A key whose delivery failed at an endpoint: its events after this position, up to the cursor,
#: wait. One row per key, never one per event.
parked = Table(
    "parked",
    metadata,
    Column("account", Integer, nullable=False),
    Column("endpoint_id", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("tx", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at", Big, nullable=False),
    #: Attempts that count against the schedule; more than its steps once it is used up.
    Column("attempt", Integer, nullable=False),
    Column("first_failed_at", Big, nullable=False),
    #: When the head is tried again; null waits for an operator (`on_dead = hold`).
    Column("due_at", Big),
    Column("reason", String(12), nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text),
    PrimaryKeyConstraint("account", "endpoint_id", "key"),
)

#: An event that an endpoint has refused to the end of the schedule; it can be replayed.
dead = Table(
    "dead",
    metadata,
    Column("account", Integer, nullable=False),
    Column("endpoint_id", String(16), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("key", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Integer),
    Column("attempts", Integer, nullable=False),
    Column("at", Big, nullable=False),
    PrimaryKeyConstraint("account", "endpoint_id", "event_id"),
)

#: One request to a receiver and what became of it; append only, kept for a time.
attempt = Table(
    "attempt",
    metadata,
    Column("account", Integer, nullable=False),
    Column("no", Big, primary_key=True, autoincrement=True),
    Column("endpoint_id", String(16), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("n", Integer, nullable=False),
    Column("at", Big, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("status", Integer),
    Column("ms", Integer, nullable=False),
    Column("error", Text),
    Column("answer", Text),
    Column("replay_id", String(16)),
    sqlite_autoincrement=True,
)
Index("attempt_endpoint", attempt.c.account, attempt.c.endpoint_id, attempt.c.no)

#: A second, slower walk over the log for one endpoint, from a position to the end that was the
#: cursor when it began.
replay = Table(
    "replay",
    metadata,
    Column("account", Integer, nullable=False),
    Column("replay_id", String(16), nullable=False),
    Column("endpoint_id", String(16), nullable=False),
    #: What of the log it sends (`domain.endpoint.Selection`), as JSON.
    Column("selection", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("tx", Big, nullable=False),
    Column("seq", Big, nullable=False),
    Column("at", Big, nullable=False),
    Column("end_generation", Integer, nullable=False),
    Column("end_tx", Big, nullable=False),
    Column("end_seq", Big, nullable=False),
    Column("end_at", Big, nullable=False),
    Column("rate", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("counted", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_at", Big),
    PrimaryKeyConstraint("account", "replay_id"),
)
Index("replay_state", replay.c.account, replay.c.endpoint_id, replay.c.state)

#: Something that an operator should look at. At most one is open of a kind and subject.
problem = Table(
    "problem",
    metadata,
    Column("account", Integer, nullable=False),
    Column("no", Big, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raised_at", Big, nullable=False),
    Column("last_at", Big, nullable=False),
    Column("times", Integer, nullable=False),
    Column("cleared_at", Big),
    sqlite_autoincrement=True,
)
Index(
    "problem_open",
    problem.c.account,
    problem.c.kind,
    problem.c.subject,
    unique=True,
    sqlite_where=text("cleared_at IS NULL"),
    postgresql_where=text("cleared_at IS NULL"),
)

#: A device that we call: where it stands, how it is treated, what it last said of itself.
terminal = Table(
    "terminal",
    metadata,
    Column("account", Integer, nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("is_udp", Boolean, nullable=False),
    #: Sealed (`vault.seal`); null is no key.
    Column("comm_key", LargeBinary),
    Column("timeout_s", Float, nullable=False),
    #: `domain.terminal.Settings`, `Known` and `Watermark` as JSON.
    Column("settings", Text, nullable=False),
    Column("known", Text, nullable=False),
    Column("watermark", Text),
    Column("created_at", Big, nullable=False),
    Column("updated_at", Big),
    Column("last_read_at", Big),
    Column("last_error", Text),
    #: As in the settings, for the question who may be listened to.
    Column("realtime", Boolean, nullable=False),
    #: Scheduled readings that failed one after the other.
    Column("failures", Integer, nullable=False),
    #: When the schedule wants it read; null is not by itself.
    Column("due_at", Big),
    #: Written before a terminal is disabled, taken away once it is enabled again.
    Column("disabled_at", Big),
    Column("lease_owner", String(32)),
    Column("lease_until", Big, nullable=False),
    #: Until when somebody waits for whoever holds it and only listens.
    Column("wanted_until", Big, nullable=False),
    PrimaryKeyConstraint("account", "device_id"),
)
Index("terminal_due", terminal.c.due_at)

#: Somebody on a terminal, as it said last; `place` is the order of its own list.
terminal_user = Table(
    "terminal_user",
    metadata,
    Column("account", Integer, nullable=False),
    Column("device_id", String(64), nullable=False),
    Column("place", Integer, nullable=False),
    Column("uid", Integer, nullable=False),
    Column("user_code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("privilege", Integer, nullable=False),
    Column("card", Big, nullable=False),
    PrimaryKeyConstraint("account", "device_id", "place"),
)
