"""ledger.sqlite: tables, triggers that refuse, and how the file is opened. Never pruned, apart from telemetry.

`INSERT OR REPLACE` and upserts slip past append-only triggers unless recursive_triggers is on: it is, on every connection, and
neither is used on these tables. `SUM()` of large integers overflows: sums are made here, not in SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from console.ledger.errors import LedgerError

FILE = "ledger.sqlite"
APPLICATION_ID = 0x434B_4C47  # "CKLG"
BUSY_S = 30

_STATES = (
    "CHECK((prev IS NULL AND state='requested') OR (prev='requested' AND state IN('reserved','active','rejected','cancelled'))"
    " OR (prev='reserved' AND state IN('active','cancelled','expired'))"
    " OR (prev='active' AND state IN('draining','suspended','failed'))"
    " OR (prev='suspended' AND state IN('active','draining')) OR (prev='failed' AND state IN('active','draining'))"
    " OR (prev='draining' AND state IN('returned','active')))"
)
_FOREVER = "9223372036854775807"


def _frozen(table: str, *, updates: bool = True) -> str:
    word = "append-only"
    made = f"CREATE TRIGGER {table}_no_d BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT,'{word}');END;\n"
    if updates:
        made += f"CREATE TRIGGER {table}_no_u BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT,'{word}');END;\n"
    return made


def _overlap(name: str, event: str, other: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON hold BEGIN SELECT RAISE(ABORT,'card already held') WHERE EXISTS("
        f"SELECT 1 FROM hold h WHERE {other}h.card_uuid=NEW.card_uuid AND h.from_us IS NOT h.to_us "
        f"AND NEW.from_us IS NOT NEW.to_us AND h.from_us<COALESCE(NEW.to_us,{_FOREVER}) "
        f"AND NEW.from_us<COALESCE(h.to_us,{_FOREVER}));END;\n"
    )


_TABLES = f"""
CREATE TABLE tenant(id TEXT PRIMARY KEY,name TEXT NOT NULL,tz TEXT NOT NULL,currency TEXT NOT NULL,
 minor_units INTEGER NOT NULL CHECK(minor_units BETWEEN 0 AND 4),industry TEXT NOT NULL DEFAULT '',
 contact TEXT NOT NULL DEFAULT '',parent_id TEXT REFERENCES tenant(id),CHECK(parent_id<>id)) STRICT;
CREATE TRIGGER tenant_money BEFORE UPDATE OF id,tz,currency,minor_units ON tenant BEGIN
 SELECT RAISE(ABORT,'a tenant keeps its zone and currency');END;
CREATE TABLE supplier(id TEXT PRIMARY KEY,name TEXT NOT NULL,contract TEXT NOT NULL DEFAULT '',
 currency TEXT NOT NULL DEFAULT '',card_hour_nano INTEGER) STRICT;
CREATE TABLE region(id TEXT PRIMARY KEY,name TEXT NOT NULL,tz TEXT NOT NULL) STRICT;
CREATE TABLE region_link(a TEXT REFERENCES region(id),b TEXT REFERENCES region(id),rtt_us INTEGER,mbit_s INTEGER,
 egress_nano_per_gib INTEGER,PRIMARY KEY(a,b)) STRICT;
CREATE TABLE sku(id TEXT PRIMARY KEY,vendor TEXT NOT NULL,arch TEXT NOT NULL,model TEXT NOT NULL,mem_mib INTEGER NOT NULL,
 bf16_dense_gflops INTEGER,spec_source TEXT,slice_of TEXT REFERENCES sku(id),slice_num INTEGER,slice_den INTEGER) STRICT;
CREATE TABLE node(id TEXT PRIMARY KEY,region_id TEXT NOT NULL REFERENCES region(id),supplier_id TEXT REFERENCES supplier(id),
 island TEXT,rack TEXT,rail_group TEXT) STRICT;
CREATE TABLE card(uuid TEXT PRIMARY KEY,node_id TEXT NOT NULL REFERENCES node(id),sku_id TEXT NOT NULL REFERENCES sku(id),
 parent_uuid TEXT REFERENCES card(uuid),commissioned_us INTEGER NOT NULL,retired_us INTEGER,capex_minor INTEGER,
 CHECK(retired_us IS NULL OR retired_us>commissioned_us)) STRICT;
CREATE TABLE card_event(seq INTEGER PRIMARY KEY,card_uuid TEXT NOT NULL REFERENCES card(uuid),at_us INTEGER NOT NULL,
 what TEXT NOT NULL CHECK(what IN('commissioned','moved','retired','replaced','out of service','in service')),
 detail TEXT NOT NULL DEFAULT '',actor TEXT NOT NULL) STRICT;
{_frozen("card_event")}
CREATE TABLE volume(id TEXT PRIMARY KEY,region_id TEXT NOT NULL REFERENCES region(id),gib INTEGER NOT NULL CHECK(gib>0)) STRICT;
CREATE TABLE plan(id TEXT NOT NULL,version INTEGER NOT NULL CHECK(version>0),kind TEXT NOT NULL
 CHECK(kind IN('payg','subscription','commit')),currency TEXT NOT NULL,valid_from_us INTEGER NOT NULL,valid_to_us INTEGER,
 spec_json TEXT NOT NULL CHECK(json_valid(spec_json)),PRIMARY KEY(id,version),
 CHECK(valid_to_us IS NULL OR valid_to_us>valid_from_us)) STRICT;
{_frozen("plan")}
CREATE TABLE quota(tenant_id TEXT NOT NULL REFERENCES tenant(id),sku_id TEXT NOT NULL REFERENCES sku(id),
 nominal INTEGER NOT NULL CHECK(nominal>=0),borrow INTEGER NOT NULL CHECK(borrow>=0),lend INTEGER NOT NULL CHECK(lend>=0),
 PRIMARY KEY(tenant_id,sku_id)) STRICT;
CREATE TABLE lease(id TEXT PRIMARY KEY,tenant_id TEXT NOT NULL REFERENCES tenant(id),sku_id TEXT NOT NULL REFERENCES sku(id),
 cards INTEGER NOT NULL CHECK(cards>0),requested_us INTEGER NOT NULL,from_us INTEGER NOT NULL,to_us INTEGER,
 spec_json TEXT NOT NULL CHECK(json_valid(spec_json)),CHECK(to_us IS NULL OR to_us>from_us)) STRICT;
{_frozen("lease")}
CREATE TABLE lease_terms(seq INTEGER PRIMARY KEY,lease_id TEXT NOT NULL REFERENCES lease(id),plan_id TEXT NOT NULL,
 plan_version INTEGER NOT NULL,from_us INTEGER NOT NULL,actor TEXT NOT NULL,UNIQUE(lease_id,from_us),
 FOREIGN KEY(plan_id,plan_version) REFERENCES plan(id,version)) STRICT;
{_frozen("lease_terms")}
CREATE TABLE lease_event(seq INTEGER PRIMARY KEY,lease_id TEXT NOT NULL REFERENCES lease(id),prev TEXT,state TEXT NOT NULL,
 at_us INTEGER NOT NULL,actor TEXT NOT NULL,reason TEXT NOT NULL DEFAULT '',{_STATES}) STRICT;
CREATE INDEX lease_event_of ON lease_event(lease_id,seq);
{_frozen("lease_event")}
CREATE TRIGGER lease_event_prev BEFORE INSERT ON lease_event BEGIN SELECT RAISE(ABORT,'stale prev') WHERE NEW.prev IS NOT
 (SELECT state FROM lease_event WHERE lease_id=NEW.lease_id ORDER BY seq DESC LIMIT 1);END;
CREATE TABLE hold(id INTEGER PRIMARY KEY,lease_id TEXT NOT NULL REFERENCES lease(id),card_uuid TEXT NOT NULL
 REFERENCES card(uuid),from_us INTEGER NOT NULL,to_us INTEGER,CHECK(to_us IS NULL OR to_us>=from_us)) STRICT;
CREATE INDEX hold_card ON hold(card_uuid,from_us);
CREATE INDEX hold_lease ON hold(lease_id);
CREATE TRIGGER hold_no_d BEFORE DELETE ON hold BEGIN SELECT RAISE(ABORT,'append-only');END;
CREATE TRIGGER hold_same BEFORE UPDATE OF id,lease_id,card_uuid ON hold BEGIN SELECT RAISE(ABORT,'append-only');END;
{_overlap("hold_no_overlap", "INSERT", "")}{_overlap("hold_no_overlap_u", "UPDATE", "h.id<>OLD.id AND ")}
CREATE TRIGGER hold_not_beside_parent BEFORE INSERT ON hold BEGIN SELECT RAISE(ABORT,'card or slice of it already held')
 WHERE EXISTS(SELECT 1 FROM hold h JOIN card c ON c.uuid=h.card_uuid JOIN card n ON n.uuid=NEW.card_uuid
  WHERE (c.parent_uuid=n.uuid OR n.parent_uuid=c.uuid) AND h.from_us IS NOT h.to_us AND h.from_us<COALESCE(NEW.to_us,{_FOREVER})
  AND NEW.from_us<COALESCE(h.to_us,{_FOREVER}));END;
CREATE TABLE hold_log(seq INTEGER PRIMARY KEY,hold_id INTEGER NOT NULL REFERENCES hold(id),from_us INTEGER NOT NULL,
 to_us INTEGER) STRICT;
CREATE INDEX hold_log_of ON hold_log(hold_id,seq);
{_frozen("hold_log")}
CREATE TRIGGER hold_made AFTER INSERT ON hold BEGIN INSERT INTO hold_log(hold_id,from_us,to_us)
 VALUES(NEW.id,NEW.from_us,NEW.to_us);END;
CREATE TRIGGER hold_changed AFTER UPDATE ON hold BEGIN INSERT INTO hold_log(hold_id,from_us,to_us)
 VALUES(NEW.id,NEW.from_us,NEW.to_us);END;
CREATE TABLE meter(seq INTEGER PRIMARY KEY,source TEXT NOT NULL,event_id TEXT NOT NULL,
 kind TEXT NOT NULL CHECK(kind IN('usage','gap','outage','void')),resource TEXT NOT NULL
 CHECK(resource IN('card','volume','egress')),lease_id TEXT NOT NULL REFERENCES lease(id),card_uuid TEXT REFERENCES card(uuid),
 volume_id TEXT REFERENCES volume(id),quantity INTEGER NOT NULL CHECK(quantity>0),from_us INTEGER NOT NULL,
 to_us INTEGER NOT NULL,cause TEXT NOT NULL CHECK(cause IN('','provider','tenant','unknown','maintenance')),
 announced_us INTEGER,evidence TEXT NOT NULL CHECK(evidence IN('lease','telemetry','manual')),note TEXT NOT NULL,
 voids_seq INTEGER UNIQUE REFERENCES meter(seq),recorded_us INTEGER NOT NULL,prev_hash BLOB NOT NULL,
 hash BLOB NOT NULL UNIQUE,UNIQUE(source,event_id),CHECK(to_us>from_us),CHECK((kind='void')=(voids_seq IS NOT NULL)),
 CHECK((resource='card')=(card_uuid IS NOT NULL)),CHECK((kind='outage')=(cause<>''))) STRICT;
CREATE INDEX meter_lease ON meter(lease_id,resource,kind,card_uuid,from_us);
{_frozen("meter")}
CREATE TRIGGER meter_chain BEFORE INSERT ON meter BEGIN SELECT RAISE(ABORT,'hash chain') WHERE NEW.prev_hash<>
 COALESCE((SELECT hash FROM meter ORDER BY seq DESC LIMIT 1),x'00');END;
CREATE TABLE quarantine(seq INTEGER PRIMARY KEY,body TEXT NOT NULL CHECK(json_valid(body)),why TEXT NOT NULL,
 at_us INTEGER NOT NULL) STRICT;
{_frozen("quarantine")}
CREATE TABLE rating_run(id INTEGER PRIMARY KEY,tenant_id TEXT NOT NULL REFERENCES tenant(id),period TEXT NOT NULL,
 meter_seq_hi INTEGER NOT NULL,hold_seq_hi INTEGER NOT NULL,terms_seq_hi INTEGER NOT NULL,event_seq_hi INTEGER NOT NULL,
 balance_minor INTEGER NOT NULL CHECK(balance_minor>=0),carried_minor INTEGER NOT NULL CHECK(carried_minor>=0),
 engine TEXT NOT NULL,at_us INTEGER NOT NULL) STRICT;
{_frozen("rating_run")}
CREATE TABLE charge(id INTEGER PRIMARY KEY,run_id INTEGER NOT NULL REFERENCES rating_run(id),line INTEGER NOT NULL,
 category TEXT NOT NULL CHECK(category IN('Usage','Purchase','Credit','Adjustment','Tax')),
 class TEXT CHECK(class IS NULL OR class='Correction'),of_period TEXT NOT NULL,lease_id TEXT REFERENCES lease(id),
 plan_id TEXT,plan_version INTEGER,sku_id TEXT,what TEXT NOT NULL,from_us INTEGER NOT NULL,to_us INTEGER NOT NULL,
 qty TEXT NOT NULL,unit TEXT NOT NULL,list_nano INTEGER NOT NULL,contracted_nano INTEGER NOT NULL,
 effective_nano INTEGER NOT NULL,billed_minor INTEGER NOT NULL,UNIQUE(run_id,line)) STRICT;
{_frozen("charge")}
CREATE TABLE invoice(id TEXT PRIMARY KEY,tenant_id TEXT NOT NULL REFERENCES tenant(id),period TEXT NOT NULL,
 run_id INTEGER NOT NULL UNIQUE REFERENCES rating_run(id),total_minor INTEGER NOT NULL,currency TEXT NOT NULL,
 issued_us INTEGER NOT NULL,digest TEXT NOT NULL,UNIQUE(tenant_id,period)) STRICT;
{_frozen("invoice")}
CREATE TRIGGER charge_frozen BEFORE INSERT ON charge BEGIN SELECT RAISE(ABORT,'run invoiced') WHERE EXISTS(
 SELECT 1 FROM invoice WHERE run_id=NEW.run_id);END;
CREATE TRIGGER invoice_sum BEFORE INSERT ON invoice BEGIN SELECT RAISE(ABORT,'total<>lines') WHERE NEW.total_minor<>
 (SELECT COALESCE(SUM(billed_minor),0) FROM charge WHERE run_id=NEW.run_id);END;
CREATE TABLE fx_rate(a TEXT NOT NULL,b TEXT NOT NULL,at_us INTEGER NOT NULL,rate TEXT NOT NULL,source TEXT NOT NULL,
 PRIMARY KEY(a,b,at_us)) STRICT;
{_frozen("fx_rate")}
CREATE TABLE audit(seq INTEGER PRIMARY KEY,at_us INTEGER NOT NULL,actor TEXT NOT NULL,what TEXT NOT NULL,
 body TEXT NOT NULL CHECK(json_valid(body))) STRICT;
{_frozen("audit")}
CREATE TABLE api_call(seq INTEGER PRIMARY KEY,at_us INTEGER NOT NULL,caller TEXT NOT NULL,command TEXT NOT NULL,
 digest TEXT NOT NULL,status INTEGER NOT NULL,key TEXT NOT NULL,body TEXT NOT NULL) STRICT;
CREATE INDEX api_call_key ON api_call(caller,key,seq) WHERE key<>'';
{_frozen("api_call")}
"""


def _run(connection: sqlite3.Connection, script: str) -> None:
    # A trigger's body has semicolons of its own, so the whole is not split here.
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip(" ;\n"):
                connection.execute(statement)
            statement = ""


def _first(connection: sqlite3.Connection) -> None:
    _run(connection, _TABLES)


_PLANNING = f"""
ALTER TABLE region ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE region ADD COLUMN power_currency TEXT NOT NULL DEFAULT '';
ALTER TABLE region ADD COLUMN power_nano_per_kwh INTEGER;
CREATE TABLE quote(id TEXT PRIMARY KEY,tenant_id TEXT REFERENCES tenant(id),title TEXT NOT NULL,currency TEXT NOT NULL,
 total_minor INTEGER NOT NULL,made_us INTEGER NOT NULL,valid_until_us INTEGER NOT NULL,actor TEXT NOT NULL,
 body_json TEXT NOT NULL CHECK(json_valid(body_json)),digest TEXT NOT NULL,CHECK(valid_until_us>made_us)) STRICT;
{_frozen("quote")}
CREATE TABLE delivery(id TEXT PRIMARY KEY,supplier_id TEXT NOT NULL REFERENCES supplier(id),
 sku_id TEXT NOT NULL REFERENCES sku(id),region_id TEXT NOT NULL REFERENCES region(id),cards INTEGER NOT NULL CHECK(cards>0),
 ordered_us INTEGER NOT NULL) STRICT;
{_frozen("delivery")}
CREATE TABLE delivery_event(seq INTEGER PRIMARY KEY,delivery_id TEXT NOT NULL REFERENCES delivery(id),
 what TEXT NOT NULL CHECK(what IN('due','arrived','cancelled')),due_us INTEGER NOT NULL,at_us INTEGER NOT NULL,
 actor TEXT NOT NULL,reason TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX delivery_event_of ON delivery_event(delivery_id,seq);
{_frozen("delivery_event")}
CREATE TRIGGER delivery_ended BEFORE INSERT ON delivery_event BEGIN SELECT RAISE(ABORT,'this delivery is over') WHERE EXISTS(
 SELECT 1 FROM delivery_event WHERE delivery_id=NEW.delivery_id AND what<>'due');END;
"""


def _second(connection: sqlite3.Connection) -> None:
    """Where a region lies and what its power costs, what was quoted, and what suppliers are to deliver."""
    _run(connection, _PLANNING)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _second)
"""What leads from version i to version i + 1. A step that was released is never changed."""

VERSION = len(MIGRATIONS)


def connect(path: Path, writes: bool) -> sqlite3.Connection:
    """The ledger at `path`, brought up to this version where `writes` is set.

    Raises:
        LedgerError: no such file to read, a newer version, another program's file, or the disk refuses.
    """
    if not writes and not path.exists():
        raise LedgerError(f"{path}: there is no ledger yet; begin with: cardkeeper tenant add")
    try:
        if writes:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        else:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, timeout=BUSY_S, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA recursive_triggers = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        _check_version(connection, path, writes)
    except (sqlite3.Error, OSError) as exc:
        raise LedgerError(f"{path}: {exc}; nothing was recorded") from exc
    return connection


def _check_version(connection: sqlite3.Connection, path: Path, writes: bool) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner not in (0, APPLICATION_ID) or (owner == 0 and tables):
        raise LedgerError(f"{path}: this is a database of another program; give another folder with --data")
    if version > VERSION:
        raise LedgerError(f"{path}: written by a newer Cardkeeper (version {version}; this one reads up to {VERSION})")
    if version < VERSION and not writes:
        connect(path, True).close()
        return
    for number in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
