"""Points 42 to 55: what a bucket does to those who list it."""

import datetime
import gzip
import json

import botocore.exceptions
import pytest

import procs
import s3front
from bucket import csv_text
from link import TO_FE
from points import point

INSERT = rb"^....\x03INSERT INTO"
TRACKED = {"s3.discovery": "tracked"}
GUARANTEES = ["label", "transactional"]


def wait_ids(made, ids, timeout=30):
    """Until the target has these; the same ones still when the job has looked on."""
    want = sorted(ids)
    procs.wait_until(lambda: made.ids() == want, timeout, "the ids %s" % want)
    made.check_task_ids()


def wait_hidden(made, column, want):
    procs.wait_until(lambda: made.hidden(column)[0] == want, 30, "%s = %s" % (column, want))


def in_a_minute():
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    return now.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@point(42, "a file with a lower name is put: tracked loads it; ordered counts it and does not")
@pytest.mark.parametrize("discovery", ["tracked", "ordered"])
def test_point_42_late_file(rig, front, discovery):
    made = rig().start(2, properties={"s3.discovery": discovery})
    front.rule(s3front.modified("in/000-late.csv", in_a_minute()))
    made.put("000-late")
    if discovery == "tracked":
        wait_ids(made, range(1, 16))
        made.check_exactly_once()
        return
    wait_hidden(made, "LateFiles", "1")
    made.put("100")
    made.settle()
    wait_ids(made, [*range(1, 11), *range(16, 21)])


@point(43, "the INSERT is held, the file overwritten, the INSERT goes on")
@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_point_43_overwritten_before_the_read(rig, link, guarantee):
    made = rig(front=link).start(properties={"guarantee": guarantee})
    link.hold(TO_FE, INSERT)
    made.put("100")
    link.wait_hit()
    made.rewrite_rows("in/100.csv")
    link.release()
    made.put("200")
    made.settle()
    # What was read is the new content, whole and once; the old one has never been seen by anybody.
    wait_ids(made, [*range(1, 6), *range(11, 21)])
    if guarantee == "label":
        assert "task.source_changed" in made.sluice.log_text()


@point(44, "a file is overwritten after its load: reload loads it again, error pauses, ignore and "
           "ordered count it")
@pytest.mark.parametrize("policy", ["reload", "error", "ignore", "ordered"])
def test_point_44_overwritten_after_the_load(rig, front, policy):
    properties = {} if policy == "ordered" else {**TRACKED, "s3.overwritten": policy}
    made = rig().start(2, properties=properties)
    front.rule(s3front.modified("in/000.csv", in_a_minute()))
    made.rewrite_rows("in/000.csv")
    if policy == "error":
        procs.wait_until(lambda: made.job()["Status"] == "PAUSED", 30, "the job to be PAUSED")
        assert "in/000.csv" in made.error()[1]
        made.execute("ALTER JOB j SKIP FILE 'in/000.csv'")
        made.execute("RESUME JOB WHERE jobName = 'j'")
    elif policy != "reload":
        wait_hidden(made, "LateFiles" if policy == "ordered" else "OverwrittenFiles", "1")
    made.put("100")
    again = range(11, 16) if policy == "reload" else ()
    wait_ids(made, [*range(1, 11), *again, *range(16, 21)])


@point(45, "the INSERT is held, one of its two files deleted, or its only one; the INSERT goes on")
@pytest.mark.parametrize("n", [1, 2])
def test_point_45_deleted_before_the_read(rig, link, n):
    made = rig(front=link).start(properties={"s3.max_batch_files": str(n)})
    link.hold(TO_FE, INSERT)
    for i in range(n):
        made.put("10%d" % i)
    link.wait_hit()
    made.bucket.remove("in/100.csv")
    made.bucket.keys.remove("in/100.csv")
    link.release()
    made.put("200")
    made.settle()
    wait_ids(made, [*range(1, 6), *range(11, made.bucket.n_rows + 1)])


@point(46, "objects of no bytes and directory markers between the files")
@pytest.mark.parametrize("discovery", ["tracked", "ordered"])
def test_point_46_empty_objects(rig, discovery):
    made = rig()
    for key in ("in/000/", "in/050.csv", "in/150.csv", "in/zzz.csv"):
        made.bucket.put(key, b"")
        made.bucket.keys.remove(key)
    for key in ("010", "100", "200"):
        made.put(key)
    made.create_job(properties={"max_interval": "1", "s3.discovery": discovery})
    made.settle()
    made.put("300")
    made.check()


LISTING_FAULTS = {
    "slow down": s3front.error(503, "SlowDown"), "error in 200": s3front.error(200, "InternalError"),
    "half the XML": s3front.half(False), "cut in the XML": s3front.half(True), "reset": s3front.reset,
    "not XML": s3front.listing(lambda request, text: "<html>no</html>"),
}


@point(47, "sluice's listings get SlowDown, an <Error> with status 200, half of the XML, a cut, "
           "RST, HTML; then Doris's listings and reads do")
def test_point_47_listing_fails(rig, front):
    made = rig({"scheduler.resume_delay": 20, "scheduler.max_auto_resumes": 1000}).start()
    of_sluice = [front.rule(act, times=1) for act in LISTING_FAULTS.values()]
    made.put("100")
    made.settle()
    of_doris = [front.rule(act, lambda request: request.is_doris, times=1)
                for act in (s3front.error(503, "SlowDown"), s3front.half(True), s3front.reset)]
    made.put("200")
    made.check()
    assert [rule.times for rule in of_sluice + of_doris] == [0] * 9
    assert made.hidden("QuarantinedFiles") == ("0",)


@point(48, "pages of two keys, whose continuation tokens are all refused as expired")
@pytest.mark.parametrize("discovery", ["tracked", "ordered"])
def test_point_48_continuation_expired(rig, front, discovery):
    front.rule(s3front.pages_of(2))
    made = rig()
    for i in range(7):
        made.put("1%02d" % i)
    made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "3",
                                "s3.discovery": discovery})
    made.settle()
    for i in range(3):
        made.put("2%02d" % i)
    made.check()


@point(49, "the key at the offset, from which the next listing starts, is deleted; pages of two "
           "keys")
def test_point_49_start_after_deleted(rig, front):
    front.rule(s3front.pages_of(2))
    made = rig().start(2)
    made.bucket.remove("in/001.csv")
    for i in range(5):
        made.put("1%02d" % i)
    made.check()


@point(50, "a listing that does not show a key yet, although a greater one: tracked loads it "
           "later, ordered counts it as late")
@pytest.mark.parametrize("discovery", ["tracked", "ordered"])
def test_point_50_eventual_listing(rig, front, discovery):
    made = rig().start(properties={"s3.discovery": discovery})
    front.rule(s3front.without("in/100.csv"))
    made.put("100")
    made.put("200")
    made.settle()
    wait_ids(made, [*range(1, 6), *range(11, 16)])
    front.clear()
    if discovery == "tracked":
        wait_ids(made, range(1, 16))
    else:
        # It was written before the task that passed it, so nothing tells it from a loaded one.
        made.put("300")
        made.settle()
        wait_ids(made, [*range(1, 6), *range(11, 21)])


NAMES = [" lead", "a b", "a,b", "a{b}", "{1,2}", "[x]", "st*r", "back\\slash", "p+q", "50%41", "k=v&w",
         "007", "1..3", "quote\"'`", "\u00e9\u4e2d", "\uff5e", "\U00010437", "d/e/f", "~", "n" * 1000]
UNREADABLE = ["what?", "#tag", "double//slash"]


@point(51, "one file a name: braces, commas, globs, blanks, quotes, %, +, &, numbers, Unicode, "
           "1024 bytes; those that Doris cannot read are set aside and shown")
@pytest.mark.parametrize("discovery", ["tracked", "ordered"])
def test_point_51_names(rig, discovery):
    made = rig()
    for name in sorted(NAMES, key=str.encode):
        made.bucket.put_rows("in/" + name, 2)
    for i, name in enumerate(UNREADABLE):
        made.bucket.put("in/" + name, csv_text(1000 + i, 1))
    made.create_job(pattern="in/**", properties={"max_interval": "1", "s3.discovery": discovery})
    made.check_exactly_once()
    procs.wait_until(lambda: shown(made) == sorted("in/" + name for name in UNREADABLE), 30,
                     "the names that Doris cannot read")
    assert made.hidden("QuarantinedFiles") == (str(len(UNREADABLE)),)
    made.bucket.put_rows("in/\U00010437-more", 2)
    made.check_exactly_once()
    made.check_task_ids()


def shown(made):
    text = made.hidden("Quarantine")[0]
    return sorted(entry.get("key", entry.get("file")) for entry in json.loads(text or "[]"))


def bad_gzip(first):
    whole = gzip.compress(csv_text(first, 50).encode())
    return whole[:20] + b"\xff\xff\xff\xff" + whole[24:]


BAD_FILES = {  # how many files a batch has, what the bad one ends in, and its bytes
    "gzip": (256, ".csv.gz", bad_gzip),
    "cut gzip": (48, ".csv.gz", lambda first: gzip.compress(csv_text(first, 50).encode())[:-30]),
    "schema": (256, ".csv", lambda first: b"id,is,a,word\nthis,one,too,x\n"),
}


@point(52, "one of 256 files in a batch has a damaged gzip or another schema, one of 48 a cut "
           "gzip: halves are loaded until it is alone, then it is set aside; the mended file is "
           "loaded by RETRY FILE")
@pytest.mark.parametrize("case", BAD_FILES)
def test_point_52_one_bad_file(rig, case):
    made = rig({"scheduler.max_auto_resumes": 1000})
    n, suffix, damaged = BAD_FILES[case]
    bad = "in/%03d-bad%s" % (n // 2, suffix)
    made.bucket.put(bad, damaged(9000))
    made.bucket.keys.remove(bad)
    for i in range(n - 1):
        made.put("%03d" % i, 1)
    with_suffix = "in/*"
    made.create_job(pattern=with_suffix, properties={"max_interval": "1"})
    made.settle(60)
    made.check_exactly_once()
    assert shown(made) == [bad]
    rows = csv_text(made.bucket.n_rows + 1, 2).encode()
    made.bucket.client.put_object(Bucket=made.bucket.name, Key=bad,
                                  Body=gzip.compress(rows) if suffix.endswith("gz") else rows)
    made.execute("ALTER JOB j RETRY FILE '%s'" % bad)
    made.bucket.n_rows += 2
    made.check_exactly_once()
    procs.wait_until(lambda: shown(made) == [], 30, "the file to be no longer set aside")
    made.check_task_ids()


@point(53, "ExpiredToken for sluice in the middle of a paged listing, and for Doris in a read; new"
           " ones by ALTER JOB")
def test_point_53_credentials_expire(rig, front):
    made = rig({"scheduler.max_auto_resumes": 1000}).start()
    front.rule(s3front.error(400, "ExpiredToken", "The provided token has expired."),
               lambda request: request.is_doris and request.key.startswith("in/"), times=2)
    made.put("050")
    made.settle()
    assert made.hidden("QuarantinedFiles") == ("0",)
    seen = [0]

    def second_page(request):
        if not request.is_list or request.is_doris:
            return False
        seen[0] += 1
        return seen[0] > 1
    front.rule(s3front.error(400, "ExpiredToken", "The provided token has expired."), second_page)
    front.rule(s3front.pages_of(2))
    for i in range(5):
        made.put("1%02d" % i)
    made.wait_code("GET_REMOTE_DATA_ERROR")
    made.execute("PAUSE JOB WHERE jobName = 'j'")
    front.clear()
    new = made.bucket.tvf("in/*.csv", **{"s3.access_key": "AKIDOTHER",
                                       "s3.secret_key": "another-secret"})
    made.execute("ALTER JOB j INSERT INTO %s SELECT c1, c2, c3, c4 FROM %s" % (made.target, new))
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check()


@point(54, "the listing says 20 GB of every file; a batch may have 100 MB")
def test_point_54_greater_than_a_batch(rig, front):
    front.rule(s3front.listing(lambda request, text: text.replace("<Size>", "<Size>20000000")))
    made = rig()
    for i in range(4):
        made.put("1%02d" % i)
    made.create_job(properties={"max_interval": "1", "s3.max_batch_bytes": "104857600"})
    made.check(n_tasks=4)


@point(55, "the bucket is deleted, the job PAUSED; it comes back without its files, new ones are "
           "put")
def test_point_55_bucket_comes_back_empty(rig):
    made = rig({"scheduler.max_auto_resumes": 1000}).start(2)
    for key in made.bucket.list():
        made.bucket.remove(key)
    made.bucket.client.delete_bucket(Bucket=made.bucket.name)
    assert "NoSuchBucket" in made.wait_code("GET_REMOTE_DATA_ERROR")
    with pytest.raises(botocore.exceptions.ClientError):
        made.put("100")
    made.bucket.n_rows = 10
    made.bucket.create()
    made.put("100")
    made.check()
