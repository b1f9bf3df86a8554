"""The store: its disk full, and files that are no store. The proxy goes on; nothing is lost."""

import contextlib
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import threading

import pymysql
import pytest

import procs
from rig import create_job_sql, failed_start

JOB = {"max_interval": "1", "s3.max_batch_files": "1"}


# --- a full disk ---

class Disk:
    """A file system of its own of 3 MB. fill() leaves no byte, free() takes the filling away."""

    def __init__(self, directory):
        self.directory = directory
        self.filling = directory / "filling"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", directory],
                       check=True, capture_output=True)

    def fill(self, sluice):
        with contextlib.suppress(OSError), open(self.filling, "ab", buffering=0) as f:
            while True:
                f.write(bytes(4096))

    def free(self, sluice):
        self.filling.unlink()

    def close(self):
        done = subprocess.run(["umount", self.directory], capture_output=True)
        if done.returncode != 0:  # somebody still sits on it; it leaves our sight all the same
            subprocess.run(["umount", "-l", self.directory], check=True)


class Limit:
    """What everybody can have: the log of the store may not grow (RLIMIT_FSIZE)."""

    def __init__(self, directory):
        self.directory = directory

    def fill(self, sluice):
        size = (self.directory / "sluice.db-wal").stat().st_size  # where every commit goes first
        resource.prlimit(sluice.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def free(self, sluice):
        resource.prlimit(sluice.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self):
        pass


def may_mount():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-mount-"))
    try:
        Disk(directory).close()
        return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        directory.rmdir()


KINDS = {"limit": (Limit, "the file would pass the largest size the process may write")}
if os.geteuid() == 0 and may_mount():
    KINDS["disk"] = (Disk, "the disk is full")


@pytest.fixture(params=KINDS)
def disk(request):
    """Set up before the processes that use it, and so taken away after them."""
    kind, why = KINDS[request.param]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-disk-"))
    made = None
    try:
        made = kind(directory)
        made.why = why
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(directory, ignore_errors=True)


def config_on(disk):
    return {"store.url": "sqlite:%s/sluice.db" % disk.directory, "scheduler.resume_delay": 200}


def fill_until_paused(made, disk):
    """Files come in while no space is left, until the store has to refuse a write."""
    disk.fill(made.sluice)
    n = 0

    def look():
        nonlocal n
        n += 1
        made.bucket.put_rows("in/full-%05d.csv" % n, 3)
        job = made.job()
        return job if job["Status"] == "PAUSED" else None
    return procs.wait_until(look, 60, "the job to be PAUSED by its full store")


@pytest.mark.sanitize
def test_full_disk_pauses_the_job_and_nothing_else(disk, rig):
    made = rig(config=config_on(disk))
    made.execute("CREATE TABLE demo.other (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)")
    made.create_job(properties=JOB)
    made.create_job("idle", "nothing/*.csv", properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    with contextlib.closing(made.sluice.connect()) as before, before.cursor() as cursor:
        job = fill_until_paused(made, disk)
        assert '"code":"STORE_ERR"' in job["ErrorMsg"], job["ErrorMsg"]
        for word in ("The store refused a write", str(disk.directory), disk.why):
            assert word in job["ErrorMsg"]
        check_relaying(made, cursor)
        check_changes_are_refused(made, disk)
        offset = made.offset()
        made.bucket.put_rows("in/later.csv", 5)
        look_for(2.0, lambda: made.job())  # it tries again and again, and is answered all the time
        assert made.offset() == offset
        disk.free(made.sluice)
        made.check_exactly_once()
    procs.wait_until(lambda: made.offset() == {"fileName": "in/later.csv"}, 60, "the last offset")
    made.check_task_ids()
    job = made.wait_state("RUNNING")
    assert (job["ErrorMsg"], job["FailedTaskCount"]) == ("", "0")
    made.sluice.restart()  # what it said is what it kept
    made.bucket.put_rows("in/z.csv", 5)
    made.check_exactly_once()
    made.check_task_ids()


def look_for(seconds, look):
    """Calls look again and again for a while."""
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.start()
    while not over.wait(0.1):
        look()


def check_relaying(made, old_cursor):
    """Statements that are not ours, on an old session and on new ones; jobs() for everybody."""
    for i in range(5):
        old_cursor.execute("INSERT INTO demo.other VALUES (%d)" % i)
        made.execute("INSERT INTO demo.other VALUES (%d)" % (100 + i))
    old_cursor.execute("SELECT COUNT(*) FROM demo.other")
    assert old_cursor.fetchone() == (10,)
    old_cursor.execute('SELECT Name FROM jobs("type"="insert") ORDER BY 1')
    assert old_cursor.fetchall() == (("idle",), ("j",))
    assert len(made.tasks()) > 0
    assert made.sluice.http("/health")[0] == 200


def check_changes_are_refused(made, disk):
    """What cannot be kept is not said to be done."""
    statements = {
        "The job was not created": create_job_sql(
            "k", "INSERT INTO demo.t SELECT * FROM " + made.bucket.tvf("k/*.csv")).replace(
                "ON STREAMING", "ON STREAMING COMMENT '%s'" % ("long " * 40000)),
        "Job idle was not dropped": "DROP JOB WHERE jobName = 'idle'",
    }
    for text, statement in statements.items():
        try:
            made.execute(statement)
        except pymysql.err.MySQLError as e:
            assert e.args[0] == 1105
            assert text in e.args[1] and disk.why in e.args[1], e.args[1]
        else:
            pytest.fail("not refused: " + statement[:60])
    names = made.execute('SELECT Name FROM jobs("type"="insert") ORDER BY Name')
    assert [row["Name"] for row in names] == ["idle", "j"]


@pytest.mark.sanitize
def test_killed_while_full(disk, rig):
    """A start on the full disk says why it cannot; on a free one everything goes on, once."""
    made = rig(config=config_on(disk), knobs={"slow_ms": 50})
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    fill_until_paused(made, disk)
    made.sluice.kill9()
    if isinstance(disk, Disk):  # a limit has died with its process
        code, said = failed_start(made.sluice)
        assert code == 1, said
        assert disk.why in said and str(disk.directory) in said
        disk.free(None)
    made.sluice.start()
    made.check_exactly_once()
    made.check_task_ids()
    made.wait_state("RUNNING")


@pytest.mark.sanitize
def test_paused_by_the_user_while_full(disk, rig):
    """PAUSE is refused or kept: a job is never PAUSED for the user and RUNNING for the store."""
    made = rig(config=config_on(disk))
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    fill_until_paused(made, disk)
    disk.free(made.sluice)
    made.check_exactly_once()
    made.wait_state("RUNNING")
    made.execute("PAUSE JOB WHERE jobName = 'j'")
    disk.fill(made.sluice)
    with contextlib.suppress(pymysql.err.MySQLError):
        made.execute("RESUME JOB WHERE jobName = 'j'")
    state = made.job()["Status"]
    made.sluice.kill9()
    if isinstance(disk, Disk):  # a limit has died with its process
        disk.free(None)
    made.sluice.start()
    found = made.job()["Status"]
    assert (found == "PAUSED") == (state == "PAUSED"), "it was %s and is %s" % (state, found)


# --- files that are no store ---

def text_file(path):
    path.write_text("id,name\n1,x\n" * 20)


def short_file(path):
    path.write_bytes(b"SQLite")


def foreign_database(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE jobs (id INTEGER)")
        db.commit()


def newer_store(path):
    change(path, "PRAGMA user_version = 99")


def headless_store(path):
    change(path, "PRAGMA user_version = 0")


def change(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()


def damaged_store(path):
    data = bytearray(path.read_bytes())
    data[100:] = bytes(len(data) - 100)
    path.write_bytes(data)


FILES = {  # make, is it made from a store of ours, words
    "text": (text_file, False, "is not an SQLite database", "set store.url to another file"),
    "short": (short_file, False, "is not an SQLite database"),
    "foreign": (foreign_database, False, "of another program", "set store.url to another file"),
    "newer": (newer_store, True, "newer Sluice", "99", "run the newer Sluice"),
    "version 0": (headless_store, True, "damaged", "restore it from a backup"),
    "damaged": (damaged_store, True, "damaged", "restore"),
}


@pytest.fixture
def stopped(sluice):
    """stopped(url) -> a sluice with that store, not started; its FE is not needed."""
    def make(url):
        class NoFe:
            port, http_port = procs.free_port(), procs.free_port()
        return sluice(NoFe, {"store.url": url}, start=False)
    return make


def content(directory):
    """Every file below with its bytes; locks of ours are no change."""
    return {path.name: path.read_bytes() for path in directory.iterdir()
            if path.is_file() and not path.name.endswith(".lock")}


def check_start_fails(process, *words):
    """Exit code 1 and one line that says why."""
    code, said = failed_start(process)
    lines = [line for line in said.splitlines() if "sluice.failed" in line]
    assert code == 1, said
    assert len(lines) == 1, said
    missing = [word for word in words if word not in lines[0]]
    assert not missing, "%r is not in: %s" % (missing, lines[0])
    assert not [line for line in said.splitlines() if "sluice.ready" in line]
    return lines[0]


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("case", FILES)
def test_file_that_is_no_store(stopped, registry, case):
    make, is_ours, *words = FILES[case]
    directory = registry.new_directory("store")
    path = directory / "sluice.db"
    process = stopped("sqlite:%s" % path)
    if is_ours:
        process.start()
        process.stop()
    make(path)
    before = content(directory)
    check_start_fails(process, str(path), *words)
    assert content(directory) == before


@pytest.mark.quick
def test_store_in_a_place_that_cannot_be(stopped, registry):
    directory = registry.new_directory("place")
    (directory / "a-file").write_text("x")
    (directory / "nowhere").symlink_to(directory / "gone" / "x.db")
    for url, words in {
            directory: ("is not a file but a directory",),
            "%s/" % directory: ("directory",),
            "%s/missing/x.db" % directory: ("its directory", "missing", "create it first"),
            "%s/a-file/x.db" % directory: ("a-file", "Not a directory"),
            "%s/nowhere" % directory: ("symbolic link", "leads nowhere"),
            "/dev/null": ("/dev/null", "is not a file"),
    }.items():
        check_start_fails(stopped("sqlite:%s" % url), "store.url", *words)
    assert sorted(path.name for path in directory.iterdir()) == ["a-file", "nowhere"]


@pytest.mark.quick
def test_directory_that_may_not_be_written(stopped, registry):
    directory = registry.new_directory("locked")
    process = stopped("sqlite:%s/x.db" % directory)
    directory.chmod(0o555)
    if os.geteuid() == 0:  # also for root, without its right to write everywhere
        process.argv = ["setpriv", "--bounding-set=-dac_override", "--", *process.argv]
    try:
        check_start_fails(process, str(directory), "Permission denied")
        assert list(directory.iterdir()) == []
    finally:
        directory.chmod(0o755)


@pytest.mark.quick
def test_store_of_a_running_sluice(rig, stopped):
    """The second one ends and says whose it is; the first one does not notice."""
    made = rig()
    made.create_job(properties=JOB)
    second = stopped(made.sluice.config["store.url"])
    check_start_fails(second, "in use by process %d" % made.sluice.pid, "stop that process")
    made.bucket.put_rows("in/a.csv", 5)
    made.check_exactly_once()


def test_store_that_went_away(rig):
    """Removed under a running Sluice: said so, and nothing is acknowledged that is not kept."""
    made = rig(config={"scheduler.resume_delay": 200})
    made.create_job(properties=JOB)
    path = pathlib.Path(made.sluice.config["store.url"].split(":", 1)[1])
    kept = path.with_suffix(".kept")
    path.rename(kept)
    made.bucket.put_rows("in/a.csv", 5)
    job = made.wait_state("PAUSED")
    assert '"code":"STORE_ERR"' in job["ErrorMsg"] and "moved or removed" in job["ErrorMsg"]
    with pytest.raises(pymysql.err.MySQLError, match="moved or removed"):
        made.execute("DROP JOB WHERE jobName = 'j'")
    assert made.ids() == []
    kept.rename(path)
    made.check_exactly_once()


def test_one_file_through_two_names(rig, stopped, registry):
    """A symbolic link does not lead around the lock."""
    made = rig()
    other = registry.new_directory("link") / "other.db"
    other.symlink_to(made.sluice.config["store.url"].split(":", 1)[1])
    check_start_fails(stopped("sqlite:%s" % other), "in use by process %d" % made.sluice.pid)
