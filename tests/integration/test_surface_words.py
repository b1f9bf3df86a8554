"""
What an error proposes, is what helps: a misspelled property or column, and the way out of a task of
which Doris has some files and not the others.
"""

import json
import re
import shutil

import procs
from rig import create_job_sql, refusal

JOB = {"max_interval": "1"}
CLIENT_ERROR_SIZE = 512  # MYSQL_ERRMSG_SIZE: libmariadb cuts what is longer

# As written, and what is meant; None: nobody can know.
MISSPELLED = {
    "max_intervl": "max_interval",
    "Max-Interval": "max_interval",
    "s3.discovry": "s3.discovery",
    "discovery": "s3.discovery",
    "s3.overwriten": "s3.overwritten",
    "s3.bad_file": "s3.bad_files",
    "bad_files": "s3.bad_files",
    "s3.ingestion_mod": "s3.ingestion_mode",
    "s3.max_batch_size": None,
    "garantee": "guarantee",
    "guaranty": "guarantee",
    "ofset": "offset",
    "set": None,
    "x": None,
}


def test_properties_and_columns(rig):
    """A property that is not known is answered with the one that is meant, a column with those there are."""
    made = rig()
    insert = "INSERT INTO demo.t SELECT c1, c2, c3, c4 FROM " + made.bucket.tvf("in/*.csv")

    def refused(properties):
        sql = create_job_sql("j", insert, properties)
        code, state, text = refusal(made.sluice.port, b"\x03" + sql.encode())
        assert (code, state) == (1105, "HY000"), text
        return text
    for wrong, meant in MISSPELLED.items():
        text = refused({wrong: "1"})
        assert "Invalid properties: [%s]." % wrong in text and "Supported keys are [max_interval, " in text
        assert re.findall(r'Did you mean "(.*?)"\?', text) == ([meant] if meant else []), text
    for key in ("max_interval", "guarantee", "s3.discovery"):
        assert "but was ''" in refused({key: ""})
    assert made.job() is None

    # A column that is not there: those that are, of the tables that are used, and mysql shows all of them.
    for sql, has, has_not in (
            ('SELECT Guarantees FROM jobs("type"="insert")', "jobs() has Id, ", "tasks() has"),
            ("SHOW JOBS WHERE Quarantined > 0", "Quarantine, Evidence", "tasks() has"),
            ('SELECT Evidence FROM tasks("type"="insert")', "tasks() has TaskId, ", "jobs() has")):
        code, state, text = refusal(made.sluice.port, b"\x03" + sql.encode())
        assert (code, state) == (1054, "42S22") and has in text and has_not not in text, text
        assert len(text) < CLIENT_ERROR_SIZE, len(text)
    both = 'SELECT Foo FROM jobs("type"="insert") j JOIN tasks("type"="insert") t ON t.JobId = j.Id'
    text = refusal(made.sluice.port, b"\x03" + both.encode())[2]
    assert "jobs() has Id, " in text and "; tasks() has TaskId, " in text


def test_some_rows_are_there(rig):
    """
    The store is an older copy, and a new file has come: of the task in doubt one file is loaded, the
    other one not. ABORTED, the offset behind the one, RESUME: deploy/reference.md says so.
    """
    made = rig()
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 5)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/a.csv"}, 30, "the first offset")
    assert made.sluice.stop() == 0
    store = made.sluice.directory / "sluice.db"
    shutil.copy(store, made.sluice.directory / "older.db")
    made.sluice.start()
    made.bucket.put_rows("in/b.csv", 5)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/b.csv"}, 30, "the second offset")
    assert made.sluice.stop() == 0
    shutil.copy(made.sluice.directory / "older.db", store)
    made.bucket.put_rows("in/c.csv", 5)
    made.sluice.start()

    said = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert said["code"] == "LABEL_TAKEN" and "in/c.csv" in said["msg"]
    made.execute("ALTER JOB j RESOLVE TASK 2 AS ABORTED")
    assert made.job()["Status"] == "PAUSED"
    made.execute("ALTER JOB j PROPERTIES ('offset' = '{\"fileName\":\"in/b.csv\"}')")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check_exactly_once()
    made.check_task_ids()
