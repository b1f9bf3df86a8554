"""The S3 source by itself (tests/unit/s3_tool.c) against a strict S3 server."""

import concurrent.futures
import json
import subprocess
import sys

import botocore.exceptions
import pytest

import procs
from bucket import Bucket

sys.path.insert(0, str(procs.ROOT / "tests" / "s3"))
from proxyfault import FAULTS, FaultyS3  # noqa: E402

pytestmark = [pytest.mark.quick, pytest.mark.sanitize]

ODD_NAMES = [
    "in/ lead.csv", "in/!'()~-_.csv", "in/$1.csv", "in/+&=@:;.csv", "in/007", "in/1..3",
    "in/50%41.csv", "in/a b.csv", "in/a,b.csv", "in/[x].csv", "in/back\\slash.csv", "in/d/e/f.csv",
    "in/plain-1.csv", "in/plain-2.csv", "in/quote\"'`.csv", "in/star*.csv", "in/{1,2}.csv",
    "in/\u00e9\u4e2d.csv", "in/\uff5e.csv", "in/\U00010437.csv",
]


class Tool:
    """Runs s3_tool with the properties of one bucket."""

    def __init__(self, bucket):
        server = bucket.server
        self.program = procs.build_dir() / "tests" / "unit" / "s3_tool"
        self.properties = {
            "uri": bucket.uri("in/**"), "s3.endpoint": server.endpoint,
            "s3.region": server.region, "s3.access_key": server.access_key,
            "s3.secret_key": server.secret_key, "use_path_style": "true"}

    def run(self, command, version=4001, **changes):
        """The lines it printed; a property of None is left out. "s3__x" stands for "s3.x"."""
        properties = dict(self.properties)
        properties.update({k.replace("__", "."): v for k, v in changes.items()})
        argv = [str(self.program), command, str(version)]
        argv += ["%s=%s" % item for item in properties.items() if item[1] is not None]
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=procs.patience(30), check=False)
        lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
        assert done.returncode == (1 if "error" in lines[-1] else 0)
        return lines

    def check(self, **changes):
        return self.run("check", **changes)[0]

    def error(self, **changes):
        text = self.check(**changes)["error"]
        assert self.properties["s3.secret_key"] not in text
        return text


@pytest.fixture
def tool(bucket):
    return Tool(bucket)


def keys_of(plan):
    return [f["key"] for f in plan["range"]["files"]]


def uri_of(plan):
    """The uri as Doris reads it from the rewritten INSERT."""
    literal = plan["sql"].split('"uri" = "', 1)[1].rsplit('")', 1)[0]
    return literal.replace('""', '"').replace("\\\\", "\\")


def put_many(bucket, names):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.put(name, "1\n"), names))


def test_odd_names_once_each_in_byte_order(bucket, tool):
    for name in ODD_NAMES:
        bucket.put(name, "1,2\n")
    bucket.put("in/0-empty.csv", "")
    bucket.put("in/dir/", "")
    bucket.put("other/x.csv", "1\n")
    *plans, last = tool.run("all")
    assert last == {"empty": True}
    found = [key for plan in plans for key in keys_of(plan)]
    assert found == sorted(ODD_NAMES, key=str.encode)
    for plan in plans:
        keys = keys_of(plan)
        assert plan["running"] == {"startFileName": keys[0], "endFileName": keys[-1]}
        assert plan["after"] == {"fileName": keys[-1]}
        assert plan["files"] == len(keys) and plan["bytes"] == 4 * len(keys)
        assert plan["sql"].startswith("INSERT INTO d.t WITH LABEL `l_1` SELECT * FROM S3(")
        if len(keys) > 1:
            names = [key.removeprefix("in/") for key in keys]
            assert uri_of(plan) == bucket.uri("in/{%s}" % ",".join(names))
    lists = [keys_of(plan) for plan in plans if plan["range"]["form"] == "list"]
    assert ["in/d/e/f.csv", "in/plain-1.csv", "in/plain-2.csv", "in/quote\"'`.csv"] in lists
    exact = {keys_of(plan)[0]: uri_of(plan) for plan in plans if plan["range"]["form"] == "exact"}
    assert exact["in/007"] == bucket.uri("in/007")
    assert exact["in/star*.csv"] == bucket.uri("in/star\\*.csv")
    assert exact["in/{1,2}.csv"] == bucket.uri("in/[{]1[,]2}.csv")


def test_names_that_doris_cannot_read(bucket, tool):
    """They are set aside with the reason, those next to one another together."""
    for name in ("a", "b?", "b#", "c"):
        bucket.put("in/%s.csv" % name, "1\n")
    first, aside, last, end = tool.run("all")
    assert keys_of(first) == ["in/a.csv"] and first["more"]
    assert first["end"] == {"fileName": "in/b#.csv"}
    assert [f["key"] for f in aside["aside"]] == ["in/b#.csv", "in/b?.csv"]
    for file in aside["aside"]:
        assert file["reason"].startswith("Doris cuts names at '?' and '#'. Give it another name")
        assert file["size"] == 2 and len(file["etag"]) == 32
    assert aside["after"] == {"fileName": "in/b?.csv"} and aside["more"]
    assert keys_of(last) == ["in/c.csv"] and end == {"empty": True}


def test_old_versions_get_one_file_a_task(bucket, tool):
    bucket.put("in/a.csv", "1\n")
    bucket.put("in/b.csv", "1\n")
    bucket.put("in/c d.csv", "1\n")
    for version in (0, 2000):
        *plans, aside, _ = tool.run("all", version)
        assert [uri_of(plan) for plan in plans] == [bucket.uri("in/a.csv"), bucket.uri("in/b.csv")]
        assert "Doris 2.0 takes no blanks" in aside["aside"][0]["reason"]


def test_paging_by_last_key(bucket, tool):
    """Pages of 7 keys, each asked for by the last key before it, odd names at the seams."""
    names = sorted(ODD_NAMES + ["in/p%02d.csv" % i for i in range(30)], key=str.encode)
    put_many(bucket, names)
    pages = [line["keys"] for line in tool.run("pages")]
    assert [key for page in pages for key in page] == names
    assert [len(page) for page in pages] == [7] * (len(names) // 7) + [len(names) % 7] * (
        len(names) % 7 > 0)


def test_batches(bucket, tool):
    names = ["in/k%02d.csv" % i for i in range(23)]
    put_many(bucket, names + ["in/k07.txt", "in/k10.csv.gz"])
    tool.properties["uri"] = bucket.uri("in/*.csv")
    *plans, last = tool.run("all", **{"job__s3__max_batch_files": "10"})
    assert last == {"empty": True}
    assert [key for plan in plans for key in keys_of(plan)] == names
    assert [plan["files"] for plan in plans] == [10, 10, 3]
    assert [plan["more"] for plan in plans] == [True, True, False]
    assert [plan["end"]["fileName"] for plan in plans] == [names[10], names[20], names[22]]


def test_patterns(bucket, tool):
    put_many(bucket, ["in/2024-%02d/p%d.csv" % (m, p) for m in range(1, 4) for p in range(1, 13)])
    cases = {
        "in/2024-01/p{1..3}.csv": ["in/2024-01/p%d.csv" % p for p in (1, 2, 3)],
        "in/2024-{01,03}/p1?.csv".replace("?", "[0-2]"):
            ["in/2024-%s/p%d.csv" % (m, p) for m in ("01", "03") for p in (10, 11, 12)],
        "in/**/p7.csv": ["in/2024-%02d/p7.csv" % m for m in (1, 2, 3)],
        "in/*.csv": [],
        "in/2024-02/p12.csv": ["in/2024-02/p12.csv"],
    }
    for pattern, expected in cases.items():
        lines = tool.run("all", uri=bucket.uri(pattern))
        assert [key for plan in lines[:-1] for key in keys_of(plan)] == expected, pattern


def test_empty_is_not_failure(bucket, tool):
    assert tool.check() == {"empty": True}
    bucket.put("in/0.csv", "")
    bucket.put("other/x.csv", "1\n")
    assert tool.check() == {"empty": True}
    assert tool.run("plan") == [{"empty": True}]
    bucket.put("in/x.csv", "1\n")
    assert tool.check() == {"empty": False}
    assert tool.check(job__offset='{"fileName":"in/x.csv"}') == {"empty": True}
    assert tool.check(job__offset='{"fileName":"in/w-not-there"}') == {"empty": False}


def test_refused_by_the_store(bucket, tool):
    server = bucket.server
    where = "Failed to list S3 files of bucket %s at %s: " % (bucket.name, server.endpoint)
    assert (where + "the access key was refused (SignatureDoesNotMatch)"
            in tool.error(s3__secret_key="wrong"))
    assert "the access key was refused" in tool.error(s3__access_key="NOBODY")
    assert "is not in region eu-west-9 (AuthorizationHeaderMalformed, it is in %s)" \
        % server.region in tool.error(s3__region="eu-west-9")
    assert "bucket not-there does not exist (NoSuchBucket)" in tool.error(uri="s3://not-there/in/*")
    assert "s3.access_key" in tool.error(s3__access_key=None, s3__secret_key=None)
    text = tool.error(s3__endpoint="http://127.0.0.1:1")
    assert "http://127.0.0.1:1/%s failed: " % bucket.name in text
    assert text.count("Check s3.endpoint, and that the object store is up") == 1


def test_styles(bucket, tool):
    bucket.put("in/a+b c.csv", "1\n")
    host = "localhost:%d" % bucket.server.port
    for changes in (
            {"s3__endpoint": host, "use_path_style": None},
            {"s3__endpoint": "http://" + host + "/", "use_path_style": "false"},
            {"s3__endpoint": None, "AWS_ENDPOINT": host, "uri": bucket.uri("in/*")},
            {"s3__endpoint": None, "uri": "http://%s/%s/in/*" % (host, bucket.name)},
            {"s3__endpoint": None, "use_path_style": None,
             "uri": "http://%s.%s/in/*" % (bucket.name, host)},
            {"s3__endpoint": None, "use_path_style": None, "force_parsing_by_standard_uri": "true",
             "uri": "s3://%s.%s/in/*" % (bucket.name, host)},
            {"s3__region": None, "uri": "s3a://%s/in/*" % bucket.name},
            {"s3__session_token": "to+ken/=="}):
        assert tool.check(**changes) == {"empty": False}, changes
        plan = tool.run("plan", **changes)[0]
        head = changes.get("uri", bucket.uri("in/**")).rsplit("in/", 1)[0]
        assert uri_of(plan) == head + "in/a+b c.csv"


def test_bucket_that_comes_and_goes(swift):
    bucket = Bucket(swift)
    tool = Tool(bucket)
    assert "does not exist" in tool.error()
    bucket.create()
    assert tool.check() == {"empty": True}
    bucket.delete()
    assert "does not exist" in tool.error()
    with pytest.raises(botocore.exceptions.ClientError):
        bucket.list()


def test_faults_on_the_way(bucket, tool):
    """A fault that passes is not noticed; one that stays is told, and nothing is planned."""
    names = ["in/%d.csv" % i for i in range(5)]
    put_many(bucket, names)
    lasting = {"access_denied": "may not list bucket", "expired_token": "session token",
               "no_such_bucket": "does not exist"}
    with FaultyS3(bucket.server) as front:
        for fault in FAULTS:
            front.clear()
            front.inject(fault, times=1, match="list-type=2")
            line = tool.run("plan", s3__endpoint=front.endpoint)[0]
            if fault in lasting:
                assert lasting[fault] in line["error"], fault
            else:
                assert keys_of(line) == names, fault
            front.inject(fault, times=100)
            assert "Failed to list S3 files" in tool.error(s3__endpoint=front.endpoint), fault
        assert {fault for fault, _ in front.served} == {"", *FAULTS}
