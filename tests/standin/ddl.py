"""Doris's column types and CREATE TABLE, as far as a table on DuckDB needs them (facts I1)."""

import re
from dataclasses import asdict, dataclass, field

from .errors import DorisError

SIMPLE = {
    "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "TINYINT": "TINYINT", "SMALLINT": "SMALLINT",
    "INT": "INTEGER", "INTEGER": "INTEGER", "BIGINT": "BIGINT", "LARGEINT": "HUGEINT",
    "FLOAT": "FLOAT", "DOUBLE": "DOUBLE", "DATE": "DATE", "DATEV2": "DATE", "DATEV1": "DATE",
    "STRING": "VARCHAR", "TEXT": "VARCHAR", "JSON": "VARCHAR", "JSONB": "VARCHAR",
    "VARIANT": "VARCHAR", "IPV4": "VARCHAR", "IPV6": "VARCHAR", "BITMAP": "VARCHAR",
    "HLL": "VARCHAR",
}
NOT_A_KEY = {"FLOAT", "DOUBLE", "STRING", "TEXT", "JSON", "JSONB", "VARIANT", "ARRAY", "MAP", "STRUCT",
             "HLL", "BITMAP"}
TABLE_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_]*")
TABLE_NAME_40 = re.compile(r"[a-zA-Z0-9\-_$]*")
DB_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_]{0,63}")


@dataclass
class Column:
    name: str
    type: str                 # as Doris shows it: varchar(20), decimal(10,2)
    duck: str
    key: bool = False
    null: bool = True
    default: str = None
    comment: str = ""
    length: int = 0           # bytes a CHAR or VARCHAR may have, 0 = any
    agg: str = ""

    def scale(self):
        m = re.match(r"datetime\((\d)\)", self.type)
        return int(m.group(1)) if m else 0


@dataclass
class Table:
    db: str
    name: str
    columns: list
    model: str = "DUPLICATE"
    keys: list = field(default_factory=list)
    distribution: str = "RANDOM BUCKETS AUTO"
    comment: str = ""

    def to_json(self):
        return asdict(self)

    @staticmethod
    def from_json(doc):
        doc = dict(doc)
        doc["columns"] = [Column(**c) for c in doc["columns"]]
        return Table(**doc)

    def create_text(self):
        cols = []
        for c in self.columns:
            text = "  `%s` %s %s" % (c.name, c.type, "NULL" if c.null else "NOT NULL")
            if c.default is not None:
                text += ' DEFAULT "%s"' % c.default
            if c.comment:
                text += ' COMMENT "%s"' % c.comment
            cols.append(text)
        return "CREATE TABLE `%s` (\n%s\n) ENGINE=OLAP\n%s KEY(%s)\nDISTRIBUTED BY %s\nPROPERTIES (\n" \
               "\"replication_allocation\" = \"tag.location.default: 1\"\n);" % (
                   self.name, ",\n".join(cols), self.model,
                   ", ".join("`%s`" % k for k in self.keys), self.distribution)


def duckdb_type(text):
    """DuckDB's type for one of Doris's, None when there is none."""
    m = re.fullmatch(r"\s*([A-Za-z0-9]+)\s*(?:\(([^)]*)\))?\s*(<.*>)?\s*", text, re.S)
    if not m:
        return None
    name, args = m.group(1).upper(), m.group(2)
    if name in SIMPLE and args is None and not m.group(3):
        return SIMPLE[name]
    if name in ("INT", "BIGINT", "TINYINT", "SMALLINT", "LARGEINT") and args:
        return SIMPLE[name]
    if name in ("DATETIME", "DATETIMEV1", "DATETIMEV2", "TIMESTAMP"):
        return "TIMESTAMP"
    if name in ("CHAR", "VARCHAR", "CHARACTER"):
        return "VARCHAR"
    if name in ("DECIMAL", "DECIMALV2", "DECIMALV3", "NUMERIC"):
        return "DECIMAL(%s)" % (args or "38,9") if _decimal_ok(args) else None
    if name in ("ARRAY", "MAP", "STRUCT") and m.group(3):
        return "VARCHAR"
    return None


def _decimal_ok(args):
    if args is None:
        return True
    parts = [x.strip() for x in args.split(",")]
    return len(parts) <= 2 and all(x.isdigit() for x in parts) and 0 < int(parts[0]) <= 38


def _read_type(c):
    """The type's tokens, as text."""
    parts = [c.next().text]
    if c.at("("):
        parts.append("(" + "".join(t.text for t in c.skip_parens()) + ")")
    if c.at("<"):
        depth = 0
        while True:
            t = c.next()
            depth += {"<": 1, ">": -1, ">>": -2}.get(t.text, 0)
            parts.append(t.text)
            if depth <= 0:
                break
    return "".join(parts)


def _shown_type(text):
    low = text.lower().replace(" ", "")
    for old, new in (("integer", "int"), ("datev2", "date"), ("datetimev2", "datetime"),
                     ("decimalv3", "decimal"), ("numeric", "decimal"), ("jsonb", "json")):
        if low.startswith(old):
            low = new + low[len(old):]
    if low == "string":
        return "text"
    if low in ("varchar", "varchar(*)"):
        return "varchar(65533)"
    if low == "decimal":
        return "decimal(38,9)"
    return "char(1)" if low == "char" else low


def parse_column(c):
    name = c.identifier()
    if name.startswith("__DORIS_"):
        raise DorisError("Disable to create table column with name start with __DORIS_: " + name)
    text = _read_type(c)
    duck = duckdb_type(text)
    if duck is None:
        raise DorisError("Unsupported data type: %s" % text.upper())
    col = Column(name, _shown_type(text), duck)
    m = re.fullmatch(r"(?:var)?char\((\d+)\)", col.type)
    col.length = int(m.group(1)) if m else 0
    _column_options(c, col)
    return col


def _column_options(c, col):
    while not c.done() and not c.at(",") and not c.at(")"):
        if c.accept("KEY"):
            col.key = True
        elif c.accept("NOT", "NULL"):
            col.null = False
        elif c.accept("NULL") or c.accept("AUTO_INCREMENT"):
            if c.at("("):
                c.skip_parens()
        elif c.accept("DEFAULT"):
            col.default = _default(c)
        elif c.accept("COMMENT"):
            col.comment = c.string()
        elif c.accept("ON", "UPDATE"):
            c.next()
        elif c.peek().word() in ("SUM", "MIN", "MAX", "REPLACE", "REPLACE_IF_NOT_NULL", "HLL_UNION",
                                 "BITMAP_UNION"):
            col.agg = c.next().word()
        else:
            c.fail()


def _default(c):
    t = c.next()
    if t.word() == "NULL":
        return None
    if t.text == "-":
        return "-" + c.next().value
    if t.word() == "CURRENT_TIMESTAMP" and c.at("("):
        c.skip_parens()
    return t.word() if t.word() in ("CURRENT_TIMESTAMP", "CURRENT_DATE") else t.value


def parse_create_table(c, db, name, profile):
    """After the table's name: columns, then the clauses in Doris's order."""
    pattern = TABLE_NAME_40 if profile.number >= (4, 0) else TABLE_NAME
    if not pattern.fullmatch(name) or len(name) > 64:
        raise DorisError("Incorrect table name '%s'. Table name regex is '%s'"
                         % (name, "^%s$" % pattern.pattern), 1105)
    columns = []
    c.expect("(")
    while True:
        if c.accept("INDEX"):
            while not c.at(",") and not c.at(")"):
                c.skip_parens() if c.at("(") else c.next()
        else:
            columns.append(parse_column(c))
        if c.accept(")"):
            break
        c.expect(",")
    table = Table(db, name, columns)
    _table_clauses(c, table)
    _check_keys(table)
    return table


def _table_clauses(c, table):
    if c.accept("ENGINE"):
        c.expect("=")
        engine = c.next().value
        if engine.upper() != "OLAP":
            raise DorisError("Do not support table with engine name = " + engine)
    for model in ("DUPLICATE", "UNIQUE", "AGGREGATE"):
        if c.accept(model, "KEY"):
            table.model, table.keys = model, c.identifiers()
            if c.accept("CLUSTER", "BY"):
                c.identifiers()
    if c.accept("COMMENT"):
        table.comment = c.string()
    if c.accept("AUTO") or c.at("PARTITION"):
        c.expect("PARTITION", "BY")
        while not c.at("("):
            c.next()
        c.skip_parens()
        if c.at("("):
            c.skip_parens()
    if c.accept("DISTRIBUTED", "BY"):
        table.distribution = _distribution(c, table)
    elif table.model == "UNIQUE":
        table.distribution = "HASH(`%s`) BUCKETS AUTO" % "`, `".join(table.keys)
    if c.accept("ROLLUP"):
        c.skip_parens()
    if c.accept("PROPERTIES"):
        c.properties()


def _distribution(c, table):
    if c.accept("RANDOM"):
        if table.model == "UNIQUE":
            raise DorisError("Create unique keys table should not contain random distribution desc")
        text = "RANDOM"
    else:
        c.expect("HASH")
        cols = c.identifiers()
        names = {x.name.lower() for x in table.columns}
        keys = {x.lower() for x in table.keys}
        for col in cols:
            if col.lower() not in names:
                raise DorisError("Distribution column(%s) doesn't exist" % col)
            if table.model != "DUPLICATE" and col.lower() not in keys:
                raise DorisError("Distribution column[%s] is not key column" % col)
        text = "HASH(%s)" % ", ".join("`%s`" % x for x in cols)
    buckets = "10"
    if c.accept("BUCKETS"):
        buckets = "AUTO" if c.accept("AUTO") else str(c.integer())
        if buckets == "0":
            raise DorisError("Number of hash distribution should be greater than zero.")
    return text + " BUCKETS " + buckets


def _check_keys(table):
    names = [x.name.lower() for x in table.columns]
    if len(set(names)) < len(names):
        dup = next(n for n in names if names.count(n) > 1)
        raise DorisError("Duplicate column name '%s'" % dup, 1060)
    if not table.keys:
        table.keys = [x.name for x in table.columns if x.key] or [table.columns[0].name]
    keys = [k.lower() for k in table.keys]
    if names[:len(keys)] != keys:
        raise DorisError("Key columns should be a ordered prefix of the schema. KeyColumns[%d] (starts "
                         "from zero) is %s, but corresponding column is %s in the previous columns "
                         "declaration." % (0, table.keys[0], table.columns[0].name))
    for col in table.columns[:len(keys)]:
        kind = re.match(r"[a-z0-9]+", col.type).group().upper()
        if kind in ("FLOAT", "DOUBLE"):
            raise DorisError("Float or double can not used as a key, use decimal instead.")
        if kind in NOT_A_KEY:
            raise DorisError("String Type should not be used in key column[%s]." % col.name
                             if kind in ("STRING", "TEXT") else
                             "%s type should not be used in key column[%s]." % (kind, col.name))
        col.key = True
