"""Tables, a job and Superset's connections to them, by sluice and directly."""

import itertools
import json
import urllib.parse

import procs
from rig import create_job_sql, create_table_sql

PROFILES = ("4.1", "2.1")
USER, PASSWORD = "bi", "s3cret/@?%"
GRANTS = "db:demo:Select_priv,Load_priv,Create_priv"
COLUMNS = ("id BIGINT, customer VARCHAR(64), amount DECIMAL(10,2), day DATE, created DATETIME, "
           "note STRING")
TYPES = [("id", "BIGINT"), ("customer", "VARCHAR(64)"), ("amount", "DECIMAL(10, 2)"),
         ("day", "DATE"), ("created", "DATETIME"), ("note", "TEXT")]
ORDERS = [
    {"id": 1, "customer": "Zoë", "amount": 10.5, "day": "2024-05-01",
     "created": "2024-05-01T12:00:00", "note": None},
    {"id": 2, "customer": "Łukasz", "amount": 20.25, "day": "2024-05-02",
     "created": "2024-05-02T13:30:00", "note": "naïve; 100%"},
    {"id": 3, "customer": "Ελένη", "amount": -7.0, "day": "2024-12-31",
     "created": "2024-12-31T23:59:59", "note": 'it\'s "quoted"'},
    {"id": 4, "customer": "Zoë", "amount": 0.75, "day": None, "created": None, "note": ""},
]
JOB = "load_clicks"
JOBS = 'SELECT * FROM jobs("type"="insert")'
N_CLICKS = 12


def literal(value):
    """A value of ORDERS, dates as JSON has them, in SQL."""
    if not isinstance(value, str):
        return "NULL" if value is None else str(value)
    if value[4:5] == "-":
        value = value.replace("T", " ")
    return "'%s'" % value.replace("'", "''")


class Place:
    """`database` is Superset's id of the connection through sluice, `direct` the one without it."""

    counter = itertools.count(1)

    @staticmethod
    def users():
        return {USER: (PASSWORD, GRANTS)}

    def __init__(self, profile, superset, fe, sluice, bucket):
        self.profile, self.superset, self.fe, self.sluice = profile, superset, fe, sluice
        fe.rows("CREATE DATABASE demo")
        fe.rows(create_table_sql("demo", "orders", COLUMNS))
        fe.rows(create_table_sql("demo", "clicks"))
        fe.rows("INSERT INTO demo.orders VALUES " + ", ".join(
            "(%s)" % ", ".join(literal(v) for v in row.values()) for row in ORDERS))
        bucket.put_rows("in/clicks.csv", N_CLICKS)
        self.insert = "INSERT INTO clicks SELECT c1, c2, c3, c4 FROM %s" % bucket.tvf("in/*.csv")
        sluice.rows(create_job_sql(JOB, self.insert), user=USER, password=PASSWORD, db="demo")
        procs.wait_until(lambda: self.count("clicks") == N_CLICKS, 30, "the job's rows")
        self.name = "Doris %s" % profile
        self.database = self.create(self.name, sluice)
        self.direct = self.create(self.name + " direct", fe)
        self._orders, self._datasets = None, []

    def close(self):
        """Superset keeps the names of datasets apart over all databases."""
        for dataset in self._datasets:
            self.superset.call("DELETE", "dataset/%d" % dataset)

    def count(self, table):
        return self.fe.rows("SELECT COUNT(*) AS n FROM demo." + table)[0]["n"]

    def uri(self, server=None, user=USER, password=PASSWORD, database="internal.demo"):
        return "doris://%s:%s@127.0.0.1:%d/%s" % (
            user, urllib.parse.quote(password, safe=""), (server or self.sluice).port, database)

    def connection(self, name, uri):
        """What the dialogue of Settings, Database Connections sends."""
        return {"database_name": name, "sqlalchemy_uri": uri, "configuration_method":
                "sqlalchemy_form", "impersonate_user": False, "extra": json.dumps({})}

    def create(self, name, server):
        made = self.superset.post("database/", expose_in_sqllab=True, allow_dml=False,
                                  **self.connection(name, self.uri(server)))
        return made["id"]

    def lab(self, sql, database=None, limit=1000, client_id=None):
        """SQL Lab's answer to the last statement of `sql`."""
        client_id = client_id or "%s-%d" % (self.profile, next(self.counter))
        return self.superset.post(
            "sqllab/execute/", database_id=database or self.database, sql=sql, catalog="internal",
            schema="demo", client_id=client_id, runAsync=False, queryLimit=limit)

    def dataset(self, name, **more):
        """The id of a dataset: of the table, or of the query given with sql=."""
        made = self.superset.post("dataset/", database=self.database, catalog="internal",
                                  schema="demo", table_name=name, **more)["id"]
        self._datasets.append(made)
        return made

    def orders(self):
        """The dataset of that table; there can be only one."""
        self._orders = self._orders or self.dataset("orders")
        return self._orders

    def chart(self, dataset, **query):
        """The rows a chart with this query draws."""
        found = self.superset.post(
            "chart/data", datasource={"id": dataset, "type": "table"}, queries=[query],
            result_format="json", result_type="full", force=True)["result"][0]
        assert found["status"] == "success", found
        return found
