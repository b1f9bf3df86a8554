"""
No secret of a user leaves sluice or lies on its disk in clear. Every byte that sluice sends to
clients, to the object store and over HTTP is recorded, and so is what it writes to its log and its
directory; then all of it is searched for every secret, in every form a program may give it.
"""

import base64
import contextlib
import re
import select
import socket
import threading
import urllib.parse
import uuid

import pymysql
import pytest

import procs
import wire
from bucket import csv_text
from rig import Rig, create_job_sql, failed_start

SERVICE = "svc"


class Tap:
    """A TCP relay that keeps what the server said (or, `of_client`, what the client said)."""

    def __init__(self, port, of_client=False):
        self.target, self.of_client, self.seen = port, of_client, bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        with client, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                peers = {client: server, server: client}
                while True:
                    for sock in select.select(list(peers), [], [])[0]:
                        data = sock.recv(1 << 16)
                        if not data:
                            return
                        if (sock is client) == self.of_client:
                            self.seen += data
                        peers[sock].sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def forms(secret):
    """The secret as programs write it: {what: bytes}."""
    raw = secret.encode()
    found = {"plain": raw, "URL": urllib.parse.quote(secret, safe="").encode(),
             "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
             "doubled": secret.replace("'", "''").replace('"', '""').encode(),
             "escaped": re.sub(r"(['\"\\])", r"\\\1", secret).encode(),
             "JSON": secret.replace("\\", "\\\\").replace('"', '\\"').encode(),
             "UTF-16": secret.encode("utf-16-le")}
    for shift in range(3):  # where it may stand in the text that is encoded
        coded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        found["base64+%d" % shift] = coded[4 if shift else 0:-2]
    return found


class Watch:
    """Secrets, and everything in which they may not be."""

    def __init__(self, sluice, client_tap, store_tap):
        self.sluice, self.client_tap, self.store_tap = sluice, client_tap, store_tap
        self.secrets, self.http, self.access_key = {}, bytearray(), b""

    def new(self, what, tail=""):
        """A secret that nothing else in the world looks like."""
        self.secrets[what] = "Zq" + uuid.uuid4().hex[:14] + tail
        return self.secrets[what]

    def places(self):
        yield "the clients", bytes(self.client_tap.seen)
        # A signature names the access key.
        yield "the object store", bytes(self.store_tap.seen).replace(self.access_key, b"")
        yield "HTTP", bytes(self.http)
        for path in sorted(self.sluice.directory.rglob("*")):
            # What the user wrote there is the user's.
            if path.is_file() and path.name != "sluice.conf":
                with contextlib.suppress(FileNotFoundError):
                    yield "file " + path.name, path.read_bytes()

    def check(self, when):
        for path in ("/metrics", "/health", "/", "/jobs", "/status"):
            self.http += self.sluice.http(path)[1].encode() if self.sluice.is_running() else b""
        found = []
        for place, content in self.places():
            for what, secret in self.secrets.items():
                for form, text in forms(secret).items():
                    at = content.find(text)
                    if at >= 0:
                        found.append("%s (%s) in %s: %r" % (
                            what, form, place, content[max(0, at - 300):at + 60]))
        assert not found, "%s: %s" % (when, "\n".join(found))


class Scene:
    def __init__(self, made, watch):
        self.made, self.watch = made, watch
        self.port = watch.client_tap.port

    def query(self, sql, **who):
        """Its rows, or the error's text."""
        connection = procs.connect(self.port, **who)
        with contextlib.closing(connection), connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                return list(cursor.fetchall())
            except pymysql.Error as e:
                return e.args[1]

    def refused(self, sql):
        answer = self.query(sql, db="demo")
        assert isinstance(answer, str), "not refused: %s" % sql
        return answer

    def look(self):
        """Every statement that shows jobs and tasks."""
        answers = []
        for sql in ("SELECT * FROM jobs('type'='insert')", "SELECT * FROM tasks('type'='insert')",
                    "SELECT upper(ExecuteSql), hex(ErrorMsg), concat(Comment, Properties) "
                    "FROM jobs('type'='insert')", "SELECT Quarantine, Evidence, Guarantee FROM "
                    "jobs('type'='insert')", "SHOW CREATE JOB good", "EXPLAIN JOB good",
                    "SHOW CREATE JOB other", "EXPLAIN JOB other", "SHOW JOBS", "SHOW JOBS LIKE '%'",
                    "SHOW PROCESSLIST"):
            answers.append(str(self.query(sql, db="demo")))
        return "\n".join(answers)

    def insert(self, **properties):
        return "INSERT INTO %s SELECT c1, c2, c3, c4 FROM %s" % (
            self.made.target, self.made.bucket.tvf("in/*.csv", **{
                "s3.endpoint": "http://127.0.0.1:%d" % self.watch.store_tap.port, **properties}))

    def prepare(self, sql):
        client = wire.Client(self.port, "root", "")
        try:
            client.query("USE demo")
            client.command(b"\x16" + sql.encode())
            return client.read_packet()[1]
        finally:
            client.close()


@pytest.fixture
def scene(standin, sluice, bucket):
    password = "Zq" + uuid.uuid4().hex[:14] + "'p\"w"
    fe = standin(users={SERVICE: (password, "db:demo:Load_priv,Select_priv")})
    proxy = sluice(fe, {"doris.user": SERVICE, "doris.password": password, "log.level": "debug"})
    taps = [Tap(proxy.port), Tap(bucket.server.port, of_client=True)]
    try:
        watch = Watch(proxy, *taps)
        watch.secrets["the account's password"] = password
        watch.secrets["the bucket's key"] = bucket.server.secret_key
        watch.secrets["the bucket's access key"] = bucket.server.access_key
        watch.access_key = bucket.server.access_key.encode()
        yield Scene(Rig(fe, proxy, bucket), watch)
    finally:
        for tap in taps:
            tap.close()


NEAR_MISSES = [
    'CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3("uri"="s3://b/x" "s3.secret_key"="{}")',
    'CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3("uri"="s3://b/x", "s3.secret_key"="{}',
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key'='{}''",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key'='{}', 'uri')",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key' '{}')",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key'=, '{}')",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3(s3.secret_key={})",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key'='{}') x y z",
    "CREATE JOB m PROPERTIES('s3.secret_key' '{}') ON STREAMING DO INSERT INTO t SELECT 1",
    "CREATE JOB m PROPERTIES('password'='{}') ON STREAMING DO INSERT INTO t SELECT * FROM S3()",
    "CREATE JOB m PROPERTIES('session.x.password'='{}', 'max_interval'='no') ON STREAMING "
    "DO INSERT INTO t SELECT * FROM S3('uri'='s3://b/x')",
    "CREATE JOB m ON STREAMING COMMENT 'AWS_SECRET_KEY={}' DO INSERT INTO t",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri'='https://u:{}@h/b/k')",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri'='s3://b/k', "
    "'s3.endpoint'='http://u:{}@h', 's3.access_key'='A', 's3.secret_key'='{}')",
    "CREATE JOB m ON STREAMING DO INSERT INTO none SELECT * FROM S3('uri'='s3://b/k', "
    "'s3.endpoint'='127.0.0.1:1', 's3.access_key'='{}', 's3.secret_key'='{}', 's3.token'='{}')",
    "CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM kafka('property.sasl.jaas.config'="
    "'x password=\"{}\"', 'property.sasl.password'='{}')",
    "ALTER JOB m PROPERTIES('password'='{}' 'x'='y')",
    "ALTER JOB good INSERT INTO t SELECT * FROM S3('aws_secret_access_key'='{}' 'k'='v')",
    "EXPLAIN CREATE JOB m ON STREAMING DO INSERT INTO t SELECT * FROM S3('s3.secret_key'='{}'",
    "PAUSE JOB WHERE jobName = 'm' AND password = '{}'",
    "SELECT * FROM jobs('type'='insert', 'password'='{}')",
    "SELECT * FROM jobs('type'='insert') WHERE secret_key = '{}' AND",
]


def be_refused(scene):
    for i, text in enumerate(NEAR_MISSES):
        sql = text.replace("{}", scene.watch.new("near miss %d" % i))
        scene.query(sql, db="demo")
        scene.prepare(sql)
    assert "good" not in str(scene.query("SELECT Name FROM jobs('type'='insert')"))
    scene.watch.check("near misses")


def test_no_secret_leaves(scene):
    made, watch, bucket = scene.made, scene.watch, scene.made.bucket
    be_refused(scene)

    # A job that works, and others that the store and the FE refuse, quoting the statement.
    hidden = watch.new("a property")
    made_sql = create_job_sql("good", scene.insert(), {"max_interval": "1"}).replace(
        "ON STREAMING", "ON STREAMING COMMENT 'jdbc:mysql://h/?user=u&password=%s'" % hidden)
    bucket.put_rows("in/a.csv", 5)
    assert "*XXX" in str(scene.query("EXPLAIN " + made_sql, db="demo"))
    assert scene.query(made_sql, db="demo") == []
    made.check_exactly_once()
    wrong = watch.new("a wrong key", "'k\"")
    text = scene.refused(create_job_sql("bad", scene.insert(**{
        "s3.secret_key": wrong.replace('"', '""')})))
    assert "SignatureDoesNotMatch" in text and "the access key was refused" in text
    made.fe.knobs(echo_sql=True)
    text = scene.refused(create_job_sql("bad", scene.insert().replace("c4 FROM", "c4, none_such FROM")))
    assert "The statement was" in text and "*XXX" in text
    watch.check("refused by the store and by the FE")

    # Tasks that fail, with the keys in whatever the FE says.
    made.fe.knobs(fail_insert="[DATA_QUALITY_ERROR]too many filtered rows. first_error_msg: row "
                  "%(k)s, secret_key=%(k)s. url: http://127.0.0.1:1/x?secret_key=%(k)s"
                  % {"k": bucket.server.secret_key})
    bucket.put_rows("in/b.csv", 5)
    procs.wait_until(lambda: "DATA_QUALITY" in str(scene.query(
        "SELECT ErrorMsg FROM tasks('type'='insert') WHERE Status = 'FAILED'")), 30,
        "a task that failed")
    assert "*XXX" in scene.look()
    watch.check("failed tasks")
    made.fe.knobs(fail_insert="", echo_sql=False)

    # ALTER puts a new secret into the place of an old one.
    assert "DATA_QUALITY" in str(scene.query("SELECT Quarantine FROM jobs('type'='insert')"))
    assert scene.query("PAUSE JOB WHERE jobName = 'good'") == []
    old = watch.new("the token before")
    new = watch.new("the token after")
    for token in (old, new):
        answer = scene.query("ALTER JOB good PROPERTIES('max_interval'='2') " + scene.insert(**{
            "iceberg.rest.session-token": token}), db="demo")
        assert answer == [], answer
    assert "*XXX" in scene.look()
    watch.check("altered")

    # The process ends in every way, and its log changes its form.
    made.sluice.config["log.format"] = "json"
    made.sluice.reload()
    made.sluice.kill9()
    watch.check("killed")
    made.sluice.start()
    assert "*XXX" in scene.look()
    assert scene.query("RESUME JOB WHERE jobName = 'good'") == []
    assert scene.query("ALTER JOB good RETRY ALL FILES") == []
    made.check_exactly_once()
    scene.refused(NEAR_MISSES[0].replace("{}", watch.new("as JSON")))
    watch.check("as JSON")
    assert scene.query("DROP JOB WHERE jobName = 'good'") == []
    watch.check("dropped")
    made.sluice.stop()
    watch.check("stopped")


def test_key_file(scene):
    """Made once, private, told when it is not as it should be."""
    made = scene.made
    key = made.sluice.directory / "sluice.db.key"
    assert key.stat().st_mode & 0o7777 == 0o600
    assert key.read_text().startswith("Sluice store key, version 1\n")
    made.sluice.stop()
    kept = key.read_bytes()
    key.unlink()
    code, text = failed_start(made.sluice)
    assert code == 1 and "is encrypted, and its key file %s is missing" % key in text
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o644)
    code, text = failed_start(made.sluice)
    assert code == 1 and "chmod 600 %s" % key in text
    key.write_text("Sluice store key, version 1\n" + "0" * 64 + "\n")
    key.chmod(0o600)
    code, text = failed_start(made.sluice)
    assert code == 1 and "it is the key of another store" in text
    elsewhere = made.sluice.directory / "elsewhere.key"
    elsewhere.write_bytes(kept)
    elsewhere.chmod(0o600)
    made.sluice.config["store.key_file"] = elsewhere
    made.sluice.start()


def test_forms_are_found():
    """The search itself: each form of a secret is seen in a haystack."""
    secret = "Zq'x\"y/+z0123456789"
    text = {"plain": secret, "URL": urllib.parse.quote(secret, safe=""),
            "doubled": "x'Zq''x\"\"y/+z0123456789'", "hex": secret.encode().hex(),
            "base64+1": base64.b64encode(b"=" + secret.encode() + b"!!").decode(),
            "base64+2": base64.b64encode(b"k=" + secret.encode() + b"!").decode(),
            "base64+0": base64.b64encode(secret.encode() + b"!!").decode()}
    for form, haystack in text.items():
        assert forms(secret)[form] in haystack.encode(), form
    assert csv_text(1, 1).encode().find(forms(secret)["plain"]) < 0
