"""Apache Superset before sluice: what a person does with it, by its REST API and in a browser."""

import concurrent.futures
import json
import re
import struct
import urllib.parse

import pytest

import api
import browser
import procs
from place import JOB, JOBS, ORDERS, PASSWORD, TYPES

BY_ID = "SELECT * FROM orders ORDER BY id"
TOTAL = {"expressionType": "SIMPLE", "column": {"column_name": "amount"}, "aggregate": "SUM",
         "label": "total"}
COUNT = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "n"}


def refusal(call, *args, **more):
    with pytest.raises(api.ApiError) as caught:
        call(*args, **more)
    return str(caught.value)


# --- connecting ---

def test_a_connection_is_tested_and_its_mistakes_are_named(place, superset):
    def attempt(**parts):
        return superset.post("database/test_connection/",
                             **place.connection("attempt", place.uri(**parts)))
    assert attempt() == {"message": "OK"}
    assert attempt(database="demo") == {"message": "OK"}
    # Superset knows Doris's own texts by pattern: they must reach it as they are.
    assert "CONNECTION_ACCESS_DENIED_ERROR" in refusal(attempt, password=PASSWORD + "x")
    assert "CONNECTION_UNKNOWN_DATABASE_ERROR" in refusal(attempt, database="internal.nope")


# --- browsing ---

def browse(place, superset, database):
    """Everything the tree of SQL Lab asks for."""
    def get(what, **query):
        return superset.get("database/%d/%s" % (database, what), **query)
    tables = "(catalog_name:internal,schema_name:demo,force:!t)"
    name = {"name": "orders", "catalog": "internal", "schema": "demo"}
    return {
        "catalogs": get("catalogs/")["result"],
        "schemas": sorted(get("schemas/", q="(catalog:internal,force:!t)")["result"]),
        "tables": get("tables/", q=tables)["result"],
        "columns": get("table_metadata/", **name), "extra": get("table_metadata/extra/", **name),
        "star": get("select_star/orders/demo/")["result"]}


def test_schemas_tables_and_columns(place, superset):
    found = browse(place, superset, place.database)
    assert found == browse(place, superset, place.direct)
    assert found["catalogs"] == ["internal"]
    assert {"demo", "information_schema"} <= set(found["schemas"])
    assert [(t["value"], t["type"]) for t in found["tables"]] == [("clicks", "table"),
                                                                 ("orders", "table")]
    columns = found["columns"]["columns"]
    assert [(c["name"], c["longType"]) for c in columns] == TYPES
    assert found["columns"]["selectStar"].split() == (
        "SELECT id, customer, amount, `day`, created, note FROM demo.orders LIMIT 100").split()


# --- SQL Lab ---

def test_a_table_in_sql_lab(place):
    found = place.lab(BY_ID)
    assert found["data"] == ORDERS
    assert found["query"]["limitingFactor"] == "NOT_LIMITED"
    assert [c["column_name"] for c in found["columns"]] == [name for name, _ in TYPES]
    assert [c["is_dttm"] for c in found["columns"]] == [False, False, False, True, True, False]
    direct = place.lab(BY_ID, place.direct)
    assert (direct["data"], direct["columns"]) == (found["data"], found["columns"])
    few = place.lab("SELECT id FROM orders ORDER BY id DESC", limit=2)
    assert [row["id"] for row in few["data"]] == [4, 3]
    assert few["query"]["executedSql"].endswith("LIMIT 3")  # one more, to know that there are more


def test_jobs_and_tasks_in_sql_lab(place):
    found = place.lab(JOBS)
    # This is the text that reaches us: Superset parses what was typed and writes it anew.
    assert found["query"]["executedSql"].split() == (
        "SELECT * FROM JOBS('type' = 'insert') LIMIT 1001".split())
    (job,) = found["data"]
    assert (job["Name"], job["Status"], job["ExecuteType"]) == (JOB, "RUNNING", "STREAMING")
    assert '"fileName":"in/clicks.csv"' in job["CurrentOffset"]

    for text in (JOBS + " j WHERE j.Name = '%s' -- mine" % JOB, JOBS + " WHERE Name LIKE 'load%'",
                 "SELECT Id, Name, Status FROM jobs('type'='insert') ORDER BY Id;",
                 "WITH x AS (%s) SELECT Name, Status FROM x" % JOBS,
                 "SELECT id FROM orders;\n%s;" % JOBS):
        (row,) = place.lab(text)["data"]
        assert (row["Name"], row["Status"]) == (JOB, "RUNNING"), text
    assert place.lab(JOBS + " WHERE Name = 'none'")["data"] == []
    # The last result of several is shown, whoever answered the first.
    assert place.lab(JOBS + "; SELECT COUNT(*) AS n FROM orders")["data"] == [{"n": 4}]

    tasks = place.lab('SELECT t.Status, COUNT(*) AS n FROM tasks("type"="insert") t '
                      "WHERE JobName = '%s' GROUP BY t.Status" % JOB)["data"]
    assert tasks == [{"Status": "SUCCESS", "n": 1}]


def test_job_statements_in_sql_lab(place):
    place.lab("CREATE JOB second ON STREAMING DO " + place.insert)
    names = "SELECT Name FROM jobs(\"type\"=\"insert\") ORDER BY Name"
    assert [row["Name"] for row in place.lab(names)["data"]] == [JOB, "second"]
    place.lab("DROP JOB WHERE jobName = 'second'")
    assert [row["Name"] for row in place.lab(names)["data"]] == [JOB]
    # Superset's own parser does not know these two, with Doris itself neither; README.md says so.
    for word in ("PAUSE", "RESUME"):
        text = refusal(place.lab, "%s JOB WHERE jobName = '%s'" % (word, JOB))
        assert "Error parsing near 'WHERE'" in text


def test_errors_reach_the_person_who_typed(place):
    assert "Unknown column 'Nope'" in refusal(
        place.lab, 'SELECT Nope FROM jobs("type"="insert")')
    assert "'kind'" in refusal(place.lab, 'SELECT * FROM jobs("kind"="insert")')
    missing = refusal(place.lab, "SELECT * FROM nope")
    assert "Table [nope] does not exist" in missing
    assert missing == refusal(place.lab, "SELECT * FROM nope", place.direct)


def test_stop_ends_the_statement_at_the_fe(place, superset):
    """The button sends KILL CONNECTION by a session of its own."""
    def sleepers():
        return [s for s in place.fe.state()["running"] if "SLEEP" in s["sql"]]
    name = "stop-" + place.profile
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(place.lab, "SELECT SLEEP(50)", client_id=name)
        procs.wait_until(sleepers, 30, "the statement to run")
        assert superset.post("query/stop", client_id=name) == {"result": "OK"}
        procs.wait_until(lambda: not sleepers(), 30, "the statement to end")
        # Superset answers "stopped" or, when the link ended first, with the error it saw.
        try:
            assert answer.result(procs.patience(30))["status"] == "stopped"
        except api.ApiError as e:
            assert "sqllab/execute/: 500" in str(e)


# --- charts ---

def test_a_chart_of_a_table(place, superset):
    dataset = place.orders()
    columns = superset.get("dataset/%d" % dataset)["result"]["columns"]
    assert sorted((c["column_name"], c["type"]) for c in columns) == sorted(TYPES)
    found = place.chart(dataset, columns=["customer"], metrics=[TOTAL], row_limit=10,
                        orderby=[[TOTAL, False]])
    assert found["data"] == [{"customer": "Łukasz", "total": 20.25},
                             {"customer": "Zoë", "total": 11.25},
                             {"customer": "Ελένη", "total": -7.0}]


def test_a_chart_of_jobs(place):
    """A dataset of the query: Superset wraps it into a subquery, groups and limits."""
    dataset = place.dataset("jobs of " + place.profile, sql=JOBS)
    found = place.chart(dataset, columns=["Status"], metrics=[COUNT], row_limit=10)
    assert "FROM (SELECT * FROM jobs(" in found["query"]
    assert found["data"] == [{"Status": "RUNNING", "n": 1}]


# --- the pages, as a person sees them ---

def leaf(text, within="body"):
    """JavaScript for the last element there that has this text and no element in it."""
    return ("[...document.querySelectorAll(%r)].flatMap(e => [...e.querySelectorAll('*')])"
            ".filter(e => !e.childElementCount && e.textContent.trim() === %r).pop()"
            % (within, text))


def marked(name):
    """JavaScript for the element that Superset has marked for its own tests with this name."""
    return "document.querySelector('[data-test=\"%s\"]')" % name


def keep(page, place, name):
    """A screenshot in the directory of the logs."""
    logs = procs.build_dir() / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / ("superset-%s-%s.png" % (place.profile, name))
    page.screenshot(path)
    print("screenshot: %s" % path)
    data = path.read_bytes()
    assert struct.unpack(">8s4x4sII", data[:24]) == (b"\x89PNG\r\n\x1a\n", b"IHDR", *browser.SIZE)


def open_lab(page, server, place, sql):
    page.open(server.url + "/sqllab/?" + urllib.parse.urlencode({
        "dbid": place.database, "catalog": "internal", "schema": "demo", "sql": sql,
        "name": "Doris " + place.profile}))
    page.wait_for("document.querySelector('.ace_content')", "the editor")


def run(page):
    page.click(marked("run-query-action"))
    page.leave()


def test_the_tree_of_schemas_and_a_preview(page, server, place):
    open_lab(page, server, place, "SELECT 1")
    page.click(leaf("demo", "[role=tree]"))
    page.click(leaf("orders", "[role=tree]"))
    page.wait_shown("BIGINT", "VARCHAR", "DECIMAL", "DATETIME", "TEXT")
    page.click(marked("pin-demo-orders"))
    page.wait_shown("VARCHAR(64)", "DECIMAL(10, 2)")
    page.click(leaf("Data preview"))
    page.leave()
    page.wait_shown("Zoë", "Łukasz", "Ελένη", "20.25", "2024-05-02T13:30:00")
    keep(page, place, "tree")


def test_queries_in_the_browser(page, server, place):
    open_lab(page, server, place, BY_ID)
    run(page)
    page.wait_shown("4 rows", "Zoë", "Łukasz", "Ελένη", "20.25", "2024-05-02T13:30:00")
    keep(page, place, "table")
    page.click("document.querySelector('.ace_content')")
    page.type_text(JOBS)
    run(page)
    page.wait_shown("1 row", JOB, "STREAMING", "RUNNING")
    assert not re.search(r"Error|Unexpected", page.text())
    keep(page, place, "jobs")


def test_a_chart_in_the_browser(page, server, place, superset):
    chart = superset.post(
        "chart/", slice_name="Orders %s" % place.profile, viz_type="pie",
        datasource_id=place.orders(), datasource_type="table", params=json.dumps({
            "datasource": "%d__table" % place.orders(), "viz_type": "pie", "groupby": ["customer"],
            "metric": COUNT, "row_limit": 10, "adhoc_filters": [],
            "label_type": "key_value", "show_labels": True, "sort_by_metric": True}))
    page.open(server.url + "/explore/?slice_id=%d" % chart["id"])
    page.wait_for("document.querySelector('[data-test=slice-container] canvas')", "the chart")
    page.wait_shown("demo.orders", "3 rows")
    keep(page, place, "chart")
