"""deploy/reference.md says what the code does: its examples run, its tables are those of the code."""

import pathlib
import re

import procs
from rig import create_job_sql, create_table_sql

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "reference.md").read_text()
LAYERS = ("base", "parser", "scheduler", "sources", "proxy")


def section(title):
    """From the heading to the next of the same level."""
    level = title.split(" ")[0]
    body = TEXT.split("\n%s\n" % title, 1)[1]
    return re.split(r"^%s " % level, body, maxsplit=1, flags=re.M)[0]


def table(title):
    """The first cells of the section's table, without marks."""
    cells = re.findall(r"^\| (.*?) \|", section(title), re.M)[1:]
    return [re.sub(r"`|\*\*\+\*\*", "", cell).strip() for cell in cells]


def source(pattern):
    return [text for layer in LAYERS for path in sorted((ROOT / layer).glob("*.[ch]"))
            for text in re.findall(pattern, path.read_text())]


def examples():
    blocks = re.findall(r"^```sql\n(.*?)^```", TEXT, re.M | re.S)
    return [s.strip() for block in blocks for s in block.split(";\n") if s.strip()]


def test_examples_and_columns(rig):
    """The examples in the order of the page, on a real bucket; then what the views are like."""
    rig = rig()
    rig.execute("CREATE DATABASE shop")
    rig.execute(create_table_sql("shop", "orders"))
    rig.bucket.put_rows("in/1.csv", 3)
    statements = examples()
    assert len(statements) >= 14
    for sql in statements:
        sql = re.sub(r"\* FROM S3\(.*?\)",
                     lambda _: "c1, c2, c3, c4 FROM " + rig.bucket.tvf("in/*.csv"), sql)
        rig.execute(sql, db="shop")
    rig.create_job()
    rig.check_exactly_once()
    procs.wait_until(lambda: rig.offset() == {"fileName": "in/1.csv"}, 30, "the offset")
    rig.execute("PAUSE JOB WHERE jobName = 'j'")  # else JobRuntimeMsg tells the time of each look
    hidden = table('## Hidden columns of jobs("type"="insert")')
    for view in ("jobs", "tasks"):
        row = rig.execute('SELECT * FROM %s("type"="insert") LIMIT 1' % view)[0]
        assert table('## Columns of %s("type"="insert")' % view) == list(row)
        assert set(hidden).isdisjoint(row)
    named = rig.execute('SELECT %s FROM jobs("type"="insert") LIMIT 1' % ", ".join(hidden))[0]
    assert hidden == list(named) and len(hidden) == 7
    text = rig.check_refused(
        create_job_sql("other", "INSERT INTO shop.orders SELECT c1, c2, c3, c4 FROM "
                       + rig.bucket.tvf("in/*.csv"), {"nope": "1"}), 1105, "HY000", "Invalid properties: [nope]")
    listed = re.search(r"Supported keys are \[(.*?)\]", text).group(1).split(", ")
    assert table("## Job properties") == [*listed, "session.*"]


def test_reasons():
    names = re.search(r"fail_code_names\[\] = \{(.*?)\};", "".join(source(r"(?s).*")), re.S).group(1)
    assert sorted(table("## Why a job is PAUSED")) == sorted(re.findall(r'"(\w+)"', names))


def test_moves():
    """The table of states is the one that the scheduler asserts."""
    rows = re.findall(r"\[JOB_(\w+)\] = \{([01, ]+)\}", "".join(source(r"legal_moves(?s:.*?)\n\};")))
    moves = {name: ["yes" if flag == "1" else "" for flag in flags.split(", ")] for name, flags in rows}
    listed = [[cell.strip("` ") for cell in line.strip("|").split("|")]
              for line in re.findall(r"^\|.*\|$", section("## States"), re.M)]
    assert listed[0][1:] == list(moves) and len(moves) == 5
    assert {line[0]: line[1:] for line in listed[2:]} == moves


def test_errors():
    """All that base/err.h names, and none that is nowhere used."""
    known = dict(source(r"(ERR_[A-Z_]+) = (\d{4})\b"))
    common = re.findall(r"ERR_[A-Z_]+ = (\d{4})\b", (ROOT / "base" / "err.h").read_text())
    listed = table("## Errors")
    assert set(common) - {"2048"} <= set(listed) <= set(known.values())
    assert listed == sorted(set(listed))
