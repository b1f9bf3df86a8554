"""
Each client logs in, writes and reads text and prepared, asks jobs() both ways and runs job
statements, through sluice. What the FE answers has to be the same as without sluice, and what was
written has to come back.
"""

import datetime
import decimal
import re

import pytest

import procs
import rig
from programs import CLIENTS, again, cell, normal, param, prep, text

JOBS = "FROM jobs(\"type\"=\"insert\") WHERE Name = "
BLOB = bytes(range(256)) * 8
DAY, MOMENT = datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)
ROWS = [
    [1, " it's", decimal.Decimal("12345.6789"), DAY, MOMENT, b"\0\xff'\\A"],
    [2, "π\t\\", decimal.Decimal("-0.0001"), DAY, MOMENT, BLOB],
    [3, None, None, None, None, None],
    [4, "", decimal.Decimal("0.5000"), datetime.date(1999, 12, 31),
     datetime.datetime(1999, 12, 31, 23, 59, 59), b""],
]
MARIADB_TABLE = ("CREATE OR REPLACE TABLE test.%s (id BIGINT PRIMARY KEY, s VARCHAR(64), "
                 "d DECIMAL(20,4), day DATE, at DATETIME(6), b LONGBLOB) CHARSET utf8mb4")
DORIS_COLUMNS = "id BIGINT, s VARCHAR(64), d DECIMAL(20,4), day DATE, at DATETIME, b STRING"


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request):
    return request.param


def rows_for(client, place):
    """Doris has no blobs, and the stand-in no fractions of a second: its texts take their place."""
    if place.name == "mariadb":
        return [[row[0], row[1] and word(client, place) + row[1], *row[2:]] for row in ROWS]
    return [[row[0], row[1] and word(client, place) + row[1], *row[2:4],
             row[4] and row[4].replace(microsecond=0),
             None if row[5] is None else "x" * len(row[5])] for row in ROWS]


def word(client, place):
    """Letters of two, three and four bytes, as many as the client can show."""
    return "éह" if client.is_utf8mb3 and place.name != "mariadb" else "éह😀"


def make_table(place, name):
    if place.name == "mariadb":
        procs.rows(place.data.connect, MARIADB_TABLE % name)
    else:
        procs.rows(place.data.connect, "DROP TABLE IF EXISTS test." + name)
        procs.rows(place.data.connect, rig.create_table_sql("test", name, DORIS_COLUMNS))


def literals(row):
    def one(value):
        if isinstance(value, bytes):
            return "X'%s'" % value.hex()
        if isinstance(value, (int, decimal.Decimal)):
            return str(value)
        return "NULL" if value is None else "'%s'" % str(value).replace("'", "''")
    return ", ".join(map(one, row))


def escaped(value):
    return cell(value).replace("\\", "\\\\").replace("\t", "\\t")


def shown(rows):
    return [["row", *map(escaped, row)] for row in rows] + [["end", str(len(rows))]]


def foreign(client, place, table):
    """[(step, what it has to come to or None where only the FE knows)]."""
    rows = rows_for(client, place)
    is_text_only = place.name == "2.0" and client.needs_long_prepare
    written = rows[:1] if is_text_only else rows
    one = [["ok", "1"]]
    steps = [
        (text("SELECT 1, NULL, '%s', 1.50" % word(client, place)),
         shown([[1, None, word(client, place), "1.50"]])),
        (text("SELECT CAST('2024-01-02' AS DATE), CAST('2024-01-02 03:04:05' AS DATETIME)"),
         shown([[DAY, MOMENT.replace(microsecond=0)]])),
        (text("INSERT INTO %s VALUES (%s)" % (table, literals(rows[0]))), one),
        (prep("INSERT INTO %s VALUES (?, ?, ?, ?, ?, ?)" % table, *map(param, rows[1])), one),
        (again(*map(param, rows[2])), one),
        (again(*map(param, rows[3])), one),
        (text("SELECT * FROM %s ORDER BY id" % table), shown(written)),
        (prep("SELECT * FROM %s WHERE id >= ? ORDER BY id" % table, "int:2"), shown(rows[1:])),
        (again("int:4"), shown(rows[3:])),
        (again("int:99"), shown([])),
        (prep("SELECT s FROM %s WHERE s = ?" % table, param(rows[0][1])), shown([[rows[0][1]]])),
        (text("SELECT nope"), None),
        (prep("SELECT nope, ?", "int:1"), None),
        (text("SELEC 1"), None),
        (text("SELECT 40 + 2"), shown([[42]])),
    ]
    return [step for step in steps if not is_text_only or step[0][0] == "text"]


def lifecycle(name, tvf):
    """A job's life, on an FE."""
    where = "JOB WHERE jobName = '%s'" % name
    state = "SELECT 'é😀' AS a, NULL AS b, Name, Status " + JOBS
    # PENDING until the scheduler has looked at it
    moves = state.replace("Status", "IIF(Status = 'PENDING', 'RUNNING', Status) AS Status", 1)
    return [
        (text("CREATE JOB %s PROPERTIES (\"max_interval\" = \"60\") ON STREAMING DO INSERT INTO "
              "test.t SELECT c1, c2, c3, c4 FROM %s" % (name, tvf)), [["ok", "0"]]),
        (text(moves + "'%s'" % name), shown([["é😀", None, name, "RUNNING"]])),
        (prep(moves + "?", param(name)), shown([["é😀", None, name, "RUNNING"]])),
        (again(param("nobody")), shown([])),
        (text("PAUSE " + where), [["ok", "0"]]),
        (prep(state + "?", param(name)), shown([["é😀", None, name, "PAUSED"]])),
        (prep("RESUME " + where), [["ok", "0"]]),
        (text("DROP " + where), [["ok", "0"]]),
        (text("DROP " + where), "job not exist"),
        (prep("PAUSE " + where), "job not exist"),
        (text("SELECT 41 + 2"), shown([[43]])),
    ]


def without_a_job(name):
    """What MariaDB can take part in: nothing of a job reaches a table."""
    where = "WHERE jobName = '%s'" % name
    counted = "SELECT 'é😀' AS a, NULL AS b, COUNT(*) AS n, 1.5 AS d " + JOBS
    return [
        (text(counted + "'%s'" % name), shown([["é😀", None, 0, "1.5"]])),
        (prep(counted + "?", param(name)), shown([["é😀", None, 0, "1.5"]])),
        (again(param("other")), shown([["é😀", None, 0, "1.5"]])),
        (text("DROP JOB IF EXISTS " + where), [["ok", "0"]]),
        (text("PAUSE JOB " + where), "job not exist"),
        (prep("DROP JOB IF EXISTS " + where), [["ok", "0"]]),
        (prep("PAUSE JOB " + where), "job not exist"),
        (text("SELECT 41 + 2"), shown([[43]])),
    ]


def fits(found, expected):
    if isinstance(expected, str):
        return len(found) == 1 and found[0][:2] == ["err", "1105"] and expected in found[0][-1]
    return len(found) == len(expected) and all(map(same_line, found, expected))


def same_line(found, expected):
    return len(found) == len(expected) and all(
        field == "0x or NULL" and value in ("0x", "NULL") or normal(field) == value
        for field, value in zip(found, expected))


def check(steps, found, may_refuse_prepared=False):
    assert len(found) == len(steps), found[-3:]
    wrong = []
    for (step, expected), lines in zip(steps, found):
        if expected is None:
            assert lines[-1][0] == "err", (step, lines)
        elif not fits(lines, expected) and not (
                may_refuse_prepared and step[0] != "text" and lines[0][0] == "err"):
            wrong.append("%s\n  expected %s\n  found    %s" % (step[:2], expected, lines))
    assert not wrong, "\n".join(wrong)[:6000]


def test_client(client, place, bed):
    name = re.sub(r"\W", "_", client.name)
    steps = foreign(client, place, "v_" + name)
    ours = (without_a_job if place.name == "mariadb" else
            lambda job: lifecycle(job, bed.tvf()))("job_" + name)
    make_table(place, "v_" + name)
    direct = client.run(place.server.port, [step for step, _ in steps])
    make_table(place, "v_" + name)
    through = client.run(place.sluice.port, [step for step, _ in steps + ours])
    assert through[:len(steps)] == direct
    check(steps, direct, may_refuse_prepared=place.name == "2.0" and client.prepares)
    check(ours, through[len(steps):])


def test_refused_login(client, place):
    if place.name in ("2.0", "2.1"):
        return
    for options, code in (({"password": "wrong"}, "1045"), ({"db": "nodb"}, "1049")):
        direct, through = (client.run(process.port, [text("SELECT 1")], **options)
                           for process in (place.server, place.sluice))
        assert direct == through and len(direct) == 1 and code in str(direct), (direct, through)


def test_text_of_several(client, place):
    """
    Ours among them. To a client that claims MULTI_STATEMENTS a result each, in order, and nothing
    behind an error; to others, as Doris does, the last one.
    """
    if client.several is None:
        return
    counted = "SELECT COUNT(*) AS n, NULL AS x " + JOBS + "'nobody'"
    drop = "DROP JOB %sWHERE jobName = 'nobody'"
    letters = word(client, place)
    one, none, other = shown([[1]]), shown([[0, None]]), shown([[letters]])
    foreign_texts = [("SELECT 1; SELECT '%s'" % letters, [one, other]),
                     ("SELECT 1; SELECT nope; SELECT 2", None), ("SELECT 40 + 2", [shown([[42]])])]
    ours = [("SELECT 1; %s; SELECT '%s'" % (counted, letters), [one, none, other]),
            ("%s; %s" % (counted, counted), [none, none]), ("SELECT 1; %s" % counted, [one, none]),
            ("SELECT 41 + 2", [shown([[43]])])]
    if client.name != "go-sql-driver":  # shows either rows or counts
        ours.append(("%s; SELECT 1" % drop % "IF EXISTS ", [[["ok", "0"]], one]))
    broken = text("SELECT 1; %s; SELECT 2" % drop % "")
    steps = [text(sql) for sql, _ in foreign_texts]
    direct = client.run(place.server.port, steps, multi=True)
    through = client.run(place.sluice.port, [*steps, *[text(sql) for sql, _ in ours], broken],
                         multi=True)
    assert through[:len(steps)] == direct
    if client.several or place.name != "mariadb":  # which does as its own protocol says
        check([(text(sql), results and chosen(client, results)) for sql, results in foreign_texts],
              direct)
    check([(text(sql), chosen(client, results)) for sql, results in ours],
          through[len(steps):-1])
    assert "job not exist" in str(through[-1]) and "'2'" not in str(through[-1]), through[-1]


def chosen(client, results):
    return sum(results, []) if client.several else results[-1]
