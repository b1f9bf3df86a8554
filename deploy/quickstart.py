"""
Builds Sluice, starts an S3 server (OpenStack Swift), a stand-in for a Doris FE and Sluice itself,
creates a streaming job and keeps dropping CSV files into the bucket, so that you can watch the table
and jobs() advance, and try it with the mysql client. Ctrl-C ends everything and removes it.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "lib")]

ROWS_A_FILE = 20
ONCE_FILES = 24
ONCE_KILL_AT = 9        # after this many files sluice is killed
ONCE_DEADLINE_S = 120
SHOW_EVERY_S = 1.0


class Failure(Exception):
    """The user reads it as it is; exit code 1."""


@dataclasses.dataclass
class S3Server:
    endpoint: str
    access_key: str
    secret_key: str
    region: str
    session_token: str = None


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        prog="deploy/quickstart", description=__doc__.strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="With a Doris and a bucket of your own:\n"
               "  deploy/quickstart --fe 10.0.0.5:9030 --fe-http 10.0.0.5:8030 --user loader "
               "\\\n      --password-file pw --s3 https://s3.example.com/my-bucket/demo "
               "--s3-key-file keys\nIt makes a database sluice_demo, a table and a job of its own "
               "and objects below the prefix,\nand removes the table, the job and the objects at "
               "the end. The user needs CREATE, DROP, LOAD\nand SELECT on sluice_demo.")
    parser.add_argument("--once", action="store_true",
                        help="load %d files, kill sluice with SIGKILL meanwhile, prove that every "
                             "row is there exactly once, and end: exit code 0, or 1 with the reason"
                             % ONCE_FILES)
    parser.add_argument("--fe", metavar="HOST:PORT", help="MySQL port of a Doris FE, in place of "
                                                          "the stand-in")
    parser.add_argument("--fe-http", metavar="HOST:PORT", help="its HTTP port (port 8030 of --fe)")
    parser.add_argument("--user", default="root", help="Doris user (root)")
    parser.add_argument("--password-file", metavar="FILE", help="its password, on the first line")
    parser.add_argument("--s3", metavar="URL",
                        help="http[s]://ENDPOINT/BUCKET[/PREFIX], in place of Swift; the bucket "
                             "must exist, and Doris must reach it")
    parser.add_argument("--s3-key-file", metavar="FILE",
                        help="access key on the first line, secret key on the second (or "
                             "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)")
    parser.add_argument("--s3-region", default=os.environ.get("AWS_REGION", "us-east-1"),
                        help="(AWS_REGION or us-east-1)")
    options = parser.parse_args(argv)
    if options.fe and not options.s3:
        parser.error("--fe needs --s3: Doris loads the files itself and cannot be expected to reach "
                     "an S3 server on this machine's loopback")
    if not options.fe and (options.fe_http or options.password_file or options.user != "root"):
        parser.error("--fe-http, --user and --password-file are about the Doris that --fe names")
    return options


def read_lines(path, n, what):
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise Failure("cannot read %s (%s): %s" % (path, what, e.strerror)) from None
    if len(lines) < n:
        raise Failure("%s should have %d line(s): %s" % (path, n, what))
    return lines[:n]


def host_port(text, what):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise Failure("%s: %r is not HOST:PORT" % (what, text))
    return host, int(port)


def parse_s3(options):
    """--s3 and its keys: (server, bucket name, prefix)."""
    url = urllib.parse.urlsplit(options.s3)
    bucket, _, prefix = url.path.strip("/").partition("/")
    if url.scheme not in ("http", "https") or not url.netloc or not bucket:
        raise Failure("--s3: %r is not http[s]://ENDPOINT/BUCKET[/PREFIX]" % options.s3)
    token = None
    if options.s3_key_file:
        access, secret = read_lines(options.s3_key_file, 2, "access key and secret key")
    else:
        access = os.environ.get("AWS_ACCESS_KEY_ID")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
        token = os.environ.get("AWS_SESSION_TOKEN")
    if not access or not secret:
        raise Failure("--s3 needs --s3-key-file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    server = S3Server("%s://%s" % (url.scheme, url.netloc), access, secret, options.s3_region, token)
    return server, bucket, prefix + "/" if prefix else ""


def check_options(options):
    """What can be wrong with them is said before anything is built or started."""
    if options.fe:
        host_port(options.fe, "--fe")
    if options.fe_http:
        host_port(options.fe_http, "--fe-http")
    if options.password_file:
        read_lines(options.password_file, 1, "the password of --user")
    if options.s3:
        parse_s3(options)


def say(text="", end="\n"):
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:  # nobody looks any more (| head): the same as Ctrl-C
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def step(text):
    """One line with its time: what takes a while should say so before it does."""
    say("  %-44s" % text, end="")
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say("%5.1f s" % (time.monotonic() - start))


def build_sluice():
    import build
    log = ROOT / "build" / "quickstart-build.log"
    log.parent.mkdir(exist_ok=True)
    with open(log, "wb") as out:
        for command, env in build.commands("build", ["sluice"]):
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, check=False,
                              env={**os.environ, **env}).returncode != 0:
                tail = log.read_text(errors="replace").splitlines()[-30:]
                raise Failure("the build failed:\n%s" % "\n".join(tail))


class Demo:
    """Everything that runs, and what it made. close() ends and removes all of it."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = pathlib.Path(directory)
        self.cleanup = contextlib.ExitStack()
        self.mark = uuid.uuid4().hex[:6]
        self.db = "sluice_demo" if options.fe else "demo"
        self.table = "events_" + self.mark if options.fe else "events"
        self.job = "quickstart_" + self.mark if options.fe else "quickstart"
        self.fe = self.sluice = self.bucket = None
        self.prefix = ""
        self.n_files = 0
        self.offsets = []

    @property
    def target(self):
        return "%s.%s" % (self.db, self.table)

    def password(self):
        if not self.options.password_file:
            return ""
        return read_lines(self.options.password_file, 1, "the password of --user")[0]

    def start(self):
        """S3 and the FE come up while sluice is built."""
        import procs
        swift = None
        if not self.options.s3:
            swift = self._launch(procs.Swift(self.directory / "s3"))
        if not self.options.fe:
            self.fe = self._launch(procs.StandIn(self.directory / "fe"))
        with step("building sluice"):
            build_sluice()
        if swift:
            with step("starting S3 (OpenStack Swift)"):
                self.bucket = self._make_bucket(swift)
        else:
            with step("reaching the bucket"):
                self.bucket = self._open_bucket()
        if self.fe:
            with step("starting the stand-in FE"):
                self.fe.wait_started()
        with step("starting sluice"):
            self._start_sluice(procs)

    def _launch(self, process):
        self.cleanup.callback(self._end, process)
        process.launch()
        return process

    @staticmethod
    def _make_bucket(swift):
        from bucket import Bucket
        swift.wait_started()
        return Bucket(swift, "demo").create()

    def _open_bucket(self):
        import botocore.exceptions
        from bucket import Bucket
        server, name, prefix = parse_s3(self.options)
        self.prefix = "%ssluice-quickstart-%s/" % (prefix, self.mark)
        bucket = Bucket(server, name)
        try:
            bucket.list(self.prefix)
        except botocore.exceptions.BotoCoreError as e:
            raise Failure("--s3: %s" % e) from None
        except botocore.exceptions.ClientError as e:
            raise Failure("--s3: bucket %s at %s: %s" % (name, server.endpoint, e)) from None
        self.cleanup.callback(lambda: [bucket.remove(key) for key in bucket.keys])
        return bucket

    @staticmethod
    def _end(process):
        """By its pid, politely and then not."""
        try:
            process.stop(5)
        except Exception:  # it is on its way out; whatever it said is of no interest now
            process.kill9()

    def _start_sluice(self, procs):
        config = {"log.level": "info", "scheduler.max_interval": 1}
        fe = self.fe
        if self.options.fe:
            host, port = host_port(self.options.fe, "--fe")
            http = self.options.fe_http or "%s:8030" % host
            config.update({"proxy.backend": "%s:%d" % (host, port), "doris.http": http,
                           "doris.user": self.options.user})
            if self.options.password_file:
                config["doris.password_file"] = pathlib.Path(self.options.password_file).resolve()
            fe = argparse.Namespace(port=port)
        self.sluice = procs.Sluice(self.directory / "sluice", fe, config,
                                   ROOT / "build" / "proxy" / "sluice")
        self.cleanup.callback(self._end, self.sluice)
        self.sluice.start()

    def execute(self, sql, **who):
        import pymysql
        try:
            return self.sluice.rows(sql, user=self.options.user, password=self.password(), **who)
        except pymysql.MySQLError as e:
            raise Failure("%s\n  answered: %s" % (" ".join(sql.split())[:100], e)) from None

    def create(self):
        import rig
        self.execute("CREATE DATABASE IF NOT EXISTS %s" % self.db)
        self.execute(rig.create_table_sql(self.db, self.table))
        if self.options.fe:
            self.cleanup.callback(self._drop, "DROP TABLE IF EXISTS %s" % self.target)
        insert = "INSERT INTO %s SELECT c1, c2, c3, c4 FROM %s" % (
            self.target, self.bucket.tvf(self.prefix + "*.csv"))
        sql = rig.create_job_sql(self.job, insert, {"s3.max_batch_files": "4"})
        self.put_file()  # Doris plans the INSERT when the job is created: it wants to see a file
        self.execute(sql, db=self.db)
        self.cleanup.callback(self._drop, "DROP JOB IF EXISTS WHERE jobName = '%s'" % self.job)
        say("\n  %s" % self.masked(sql).replace(" ON STREAMING", "\n    ON STREAMING")
            .replace(" SELECT", "\n    SELECT").replace(' "s3.', '\n       "s3.'))

    def _drop(self, sql):
        with contextlib.suppress(Failure, OSError):
            self.execute(sql)

    def masked(self, text):
        server = self.bucket.server
        for secret in (server.secret_key, server.session_token
                       if isinstance(server, S3Server) else None):
            text = text.replace(secret, "*XXX") if secret else text
        return text

    def put_file(self):
        self.n_files += 1
        self.bucket.put_rows("%s%06d.csv" % (self.prefix, self.n_files), ROWS_A_FILE)

    def count(self):
        return int(self.execute("SELECT COUNT(*) AS n FROM %s" % self.target)[0]["n"])

    def job_row(self):
        found = self.execute('SELECT Status, SucceedTaskCount, FailedTaskCount, CurrentOffset, '
                             'ErrorMsg FROM jobs("type"="insert") WHERE Name = \'%s\'' % self.job)
        if not found:
            raise Failure("job %s is not in jobs() any more" % self.job)
        row = found[0]
        with contextlib.suppress(ValueError, TypeError):
            row["CurrentOffset"] = json.loads(row["CurrentOffset"]).get("fileName", "")
        if row["CurrentOffset"] and row["CurrentOffset"] not in self.offsets[-1:]:
            self.offsets.append(row["CurrentOffset"])
        return row

    def close(self):
        self.cleanup.close()


HEAD = ("time", "files put", "rows put", "rows in table", "job", "tasks", "failed", "CurrentOffset")
LINE = "  %5s  %9s  %8s  %13s  %-8s  %5s  %6s  %s"


def show(demo, since):
    """One line of the live view."""
    n, row = demo.count(), demo.job_row()
    seconds = int(time.monotonic() - since)
    offset = (row["CurrentOffset"] or "").rsplit("/", 1)[-1]
    say(LINE % ("%d:%02d" % divmod(seconds, 60), demo.n_files, demo.bucket.n_rows, n, row["Status"],
                row["SucceedTaskCount"], row["FailedTaskCount"], offset))
    if row["Status"] == "PAUSED" and row["ErrorMsg"]:
        say("         %s" % demo.masked(row["ErrorMsg"]))


def mysql_command(demo):
    return "mysql -h127.0.0.1 -P%d -u%s%s" % (demo.sluice.port, demo.options.user,
                                              " -p" if demo.options.password_file else "")


def introduce(demo):
    say("\n  Try it from another terminal:")
    say("    %s -e 'SELECT COUNT(*) FROM %s'" % (mysql_command(demo), demo.target))
    say("    %s -e 'SELECT * FROM jobs(\"type\"=\"insert\")\\G'" % mysql_command(demo))
    say()
    say(LINE % HEAD)


def run_live(demo):
    """Until Ctrl-C."""
    since = time.monotonic()
    while True:
        demo.put_file()
        show(demo, since)
        time.sleep(SHOW_EVERY_S)


def wait_for_running_task(demo):
    """The number of a task that Doris is working on, or None when it is too quick to be caught."""
    import procs
    sql = ('SELECT TaskId FROM tasks("type"="insert") WHERE JobName = \'%s\' AND '
           'Status = \'RUNNING\'' % demo.job)
    if demo.fe is not None:
        demo.fe.knobs(slow_ms=1000)
    try:
        return procs.wait_until(lambda: demo.execute(sql), 5)[0]["TaskId"]
    except TimeoutError:
        return None
    finally:
        if demo.fe is not None:
            demo.fe.knobs(slow_ms=0)


def kill_and_restart(demo):
    """SIGKILL in the middle of a load; returns the seconds until it answered again."""
    task = wait_for_running_task(demo)
    demo.sluice.kill9()
    say("  sluice got SIGKILL%s …" % (" while task %s was loading" % task if task else ""))
    start = time.monotonic()
    demo.sluice.start()
    seconds = time.monotonic() - start
    say("  … and is back after %.2f s" % seconds)
    return seconds


def run_once(demo):
    """Loads ONCE_FILES files with a crash in between, then proves what came of it."""
    since = time.monotonic()
    down_s, shown = None, 0.0
    while True:
        if demo.n_files < ONCE_FILES:
            demo.put_file()
        if demo.n_files == ONCE_KILL_AT and down_s is None:
            down_s = kill_and_restart(demo)
        is_done = demo.n_files == ONCE_FILES and demo.count() >= demo.bucket.n_rows
        if is_done or time.monotonic() - shown >= SHOW_EVERY_S:
            shown = time.monotonic()
            show(demo, since)
        if is_done:
            break
        if time.monotonic() - since > ONCE_DEADLINE_S:
            raise Failure("not all rows arrived within %d s" % ONCE_DEADLINE_S)
        time.sleep(0.25)
    return prove(demo, down_s)


def wait_committed(demo):
    """The rows are visible a moment before the offset is committed."""
    import procs
    last = "%06d.csv" % demo.n_files
    try:
        procs.wait_until(lambda: demo.job_row()["CurrentOffset"].endswith(last), 20)
    except TimeoutError:
        pass  # the proof says what is missing


def prove(demo, down_s):
    """Prints each claim with its evidence; returns the claims that do not hold."""
    wait_committed(demo)
    ids = sorted(int(row["id"]) for row in demo.execute("SELECT id FROM %s" % demo.target))
    tasks = demo.execute('SELECT TaskId, Status FROM tasks("type"="insert") WHERE JobName = \'%s\''
                         % demo.job)
    task_ids = sorted(int(task["TaskId"]) for task in tasks)
    expected = demo.bucket.n_rows
    claims = [
        ("files put", "%d" % demo.n_files, True),
        ("rows expected", "%d" % expected, True),
        ("rows in %s" % demo.target, "%d" % len(ids), len(ids) == expected),
        ("distinct ids", "%d" % len(set(ids)), ids == list(range(1, expected + 1))),
        ("task ids", "%d … %d" % (task_ids[0], task_ids[-1]) if task_ids else "none",
         bool(task_ids) and task_ids == list(range(task_ids[0], task_ids[0] + len(task_ids)))),
        ("offsets seen, never backwards", "%d, up to %s"
         % (len(demo.offsets), demo.offsets[-1].rsplit("/", 1)[-1] if demo.offsets else "none"),
         bool(demo.offsets) and demo.offsets == sorted(demo.offsets)
         and demo.offsets[-1].endswith("%06d.csv" % demo.n_files)),
        ("SIGKILL survived", "1, back after %.2f s" % down_s, True),
    ]
    say("\n  Proof")
    wide = [max(len(claim[i]) for claim in claims) + 2 for i in (0, 1)]
    for what, value, holds in claims:
        say("    %s%s%s" % (what.ljust(wide[0]), value.ljust(wide[1]), "ok" if holds else "WRONG"))
    return [what for what, _, holds in claims if not holds]


def stop_on_signals():
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def run(options, directory):
    demo = Demo(options, directory)
    try:
        demo.start()
        demo.create()
        introduce(demo)
        if not options.once:
            run_live(demo)
        wrong = run_once(demo)
        if wrong:
            raise Failure("not as it should be: %s" % ", ".join(wrong))
        say("\n  Every row arrived exactly once.")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end is not to be interrupted half-way
        try:
            say("\n  ending everything …")
        finally:
            demo.close()


def main(argv):
    options = parse_arguments(argv)
    stop_on_signals()
    import procs
    directory = tempfile.mkdtemp(prefix="sluice-quickstart-")
    say("Sluice quickstart (Ctrl-C ends it)\n")
    code, keep = 0, False
    try:
        check_options(options)
        run(options, directory)
    except KeyboardInterrupt:
        code = 1 if options.once else 0
    except (Failure, procs.ProcessError, TimeoutError) as e:
        code, keep = 1, bool(os.listdir(directory))
        print("\nquickstart: %s" % e, file=sys.stderr)
    if keep:
        print("The logs are in %s" % directory, file=sys.stderr)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
