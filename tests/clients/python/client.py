"""
Drives one Python driver by the lines of README.md: client.py DRIVER PORT USER PASSWORD DATABASE [multi]

pymysql, mysqlclient and pydoris put the parameters into the text themselves; connector and
connector-c prepare on the server.
"""

import datetime
import decimal
import sys
import warnings

ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def param(text):
    kind, _, value = text.partition(":")
    return {"null": lambda: None, "int": lambda: int(value), "dec": lambda: decimal.Decimal(value),
            "str": lambda: bytes.fromhex(value).decode(), "bin": lambda: bytes.fromhex(value),
            "date": lambda: datetime.date.fromisoformat(value),
            "time": lambda: datetime.datetime.fromisoformat(value)}[kind]()


def cell(value):
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return "".join(ESCAPES.get(c, c) for c in str(value))


def say(*fields):
    print(*fields, sep="\t", flush=True)


def say_error(e):
    e = getattr(e, "orig", None) or e
    code, text = (list(e.args) + ["", ""])[:2]
    say("err", getattr(e, "errno", code), getattr(e, "sqlstate", None) or "-",
        cell(getattr(e, "msg", None) or text))


class DBAPI:
    """Every result of a text; parameters go the driver's own way."""

    cursor_options = {}

    def __init__(self, connection):
        self.connection, self.cursor = connection, None

    def run(self, sql, params=None, **options):
        self.close()
        self.cursor = self.connection.cursor(**options)
        self.show(sql, params)

    def show(self, sql, params):
        self.cursor.execute(sql, params)
        while True:
            self.show_result()
            if not getattr(self.cursor, "nextset", lambda: None)():
                return

    def show_result(self):
        if not self.cursor.description:
            return say("ok", self.cursor.rowcount)
        rows = self.cursor.fetchall()
        for row in rows:
            say("row", *map(cell, row))
        return say("end", len(rows))

    def text(self, sql):
        self.run(sql)

    def prep(self, sql, params):
        self.sql = sql.replace("?", "%s")
        self.run(self.sql, params, **self.cursor_options)

    def again(self, params):
        self.show(self.sql, params)

    def close(self):
        if self.cursor is not None:
            self.cursor.close()
            self.cursor = None


def pymysql_connect(port, user, password, db, multi):
    import pymysql
    from pymysql.constants import CLIENT
    return DBAPI(pymysql.connect(host="127.0.0.1", port=port, user=user, password=password,
                                 database=db, autocommit=True,
                                 client_flag=CLIENT.MULTI_STATEMENTS if multi else 0))


def mysqlclient_connect(port, user, password, db, multi):
    import MySQLdb
    return DBAPI(MySQLdb.connect(host="127.0.0.1", port=port, user=user, password=password,
                                 database=db, autocommit=True, charset="utf8mb4",
                                 multi_statements=multi))


class Connector(DBAPI):
    cursor_options = {"prepared": True}

    def show(self, sql, params):
        if self.cursor_options.items() <= getattr(self, "used", {}).items():
            self.cursor.execute(sql, params)
            return self.show_result()
        self.cursor.execute(sql)
        self.show_result()
        while self.cursor.nextset():
            self.show_result()
        return None

    def run(self, sql, params=None, **options):
        self.used = options
        super().run(sql, params, **options)


def connector_connect(use_pure):
    def connect(port, user, password, db, multi):
        import mysql.connector
        if not use_pure and not mysql.connector.HAVE_CEXT:
            raise SystemExit("mysql-connector-python has no C extension here")
        return Connector(mysql.connector.connect(
            host="127.0.0.1", port=port, user=user, password=password, database=db,
            autocommit=True, use_pure=use_pure))
    return connect


class Alchemy:
    def __init__(self, connection):
        self.connection = connection

    def run(self, sql, params=None):
        result = self.connection.exec_driver_sql(sql, params)
        if not result.returns_rows:
            return say("ok", result.rowcount)
        rows = result.fetchall()
        for row in rows:
            say("row", *map(cell, row))
        return say("end", len(rows))

    def text(self, sql):
        self.run(sql)

    def prep(self, sql, params):
        self.sql = sql.replace("?", "%s")
        self.again(params)

    def again(self, params):
        self.run(self.sql, tuple(params))

    def close(self):
        pass


def pydoris_connect(port, user, password, db, multi):
    import sqlalchemy
    url = sqlalchemy.URL.create("pydoris", user, password, "127.0.0.1", port, db)
    return Alchemy(sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT").connect())


DRIVERS = {"pymysql": pymysql_connect, "mysqlclient": mysqlclient_connect,
           "connector": connector_connect(True), "connector-c": connector_connect(False),
           "pydoris": pydoris_connect}


def step(session, fields):
    verb, *rest = fields
    if verb == "text":
        session.text(rest[0])
    elif verb == "prep":
        session.prep(rest[0], [param(text) for text in rest[1:]])
    elif verb == "again":
        session.again([param(text) for text in rest])
    else:
        raise SystemExit("no such verb: " + verb)


def main(driver, port, user, password, db, multi=""):
    warnings.simplefilter("ignore")
    try:
        session = DRIVERS[driver](int(port), user, password, db, multi == "multi")
    except Exception as e:  # noqa: BLE001: each driver has its own
        return say_error(e)
    for line in sys.stdin:
        try:
            step(session, line.rstrip("\n").split("\t"))
        except Exception as e:  # noqa: BLE001
            say_error(e)
        say("--")
    session.close()
    session.connection.close()
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
