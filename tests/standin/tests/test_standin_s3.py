"""The S3() function end to end: E2 to E4. With S3_URL set this runs against a real store."""

import gzip
import json

import pytest
from standin_helpers import error_of, ok_info, rows


def test_csv_insert(start_fe, s3):
    for i in range(5):
        s3.put("d/%d.csv" % i, "%d\ta%d\n%d\t\\N\n" % (i, i, i + 10))
    s3.put("d/empty.csv", "")
    s3.put("d/sub/9.csv", "9\tnine\n")
    for profile in ("2.0", "2.1", "3.0", "4.0", "4.1"):
        fe = start_fe(profile)
        with fe.connect() as c:
            sql = "INSERT INTO test.t WITH LABEL l SELECT c1, c2 FROM " + s3.call("d/*.csv")
            assert ok_info(c, sql) == (10, 0, "{'label':'l', 'status':'VISIBLE', 'txnId':'1'}")
            assert rows(c, "SELECT id, v FROM test.t WHERE id IN (4, 14) ORDER BY id") == (
                (4, "a4"), (14, None))


def test_brace_lists(start_fe, s3):
    s3.put("d/01.csv", "1\ta\n")
    s3.put("d/1.csv", "2\tb\n")
    s3.put("d/f{x,y}.csv", "3\tc\n")
    with start_fe("4.0").connect() as c:
        assert rows(c, "SELECT c1 FROM " + s3.call("d/{01,02}.csv")) == (("2",),)
        assert rows(c, "SELECT c1 FROM " + s3.call("d/{01.csv,02.csv}")) == (("1",),)
        assert "Can not build s3" in error_of(c, "SELECT * FROM " + s3.call("d/{a,{b}}.csv"))[1]
    with start_fe("3.0").connect() as c:
        assert rows(c, "SELECT c1 FROM " + s3.call("d/{01,02}.csv")) == (("1",),)
    with start_fe("2.0").connect() as c:
        assert "Invalid s3 uri" in error_of(c, "SELECT * FROM " + s3.call("d/{01,1}.csv"))[1]


def test_no_match_and_empty(start_fe, s3):
    s3.put("e/0.csv", "")
    fe = start_fe("4.0")
    with fe.connect(db="test") as c:
        for key in ("e/0.csv", "nothing/*.csv"):
            assert [r[0] for r in rows(c, "DESC FUNCTION " + s3.call(key))] == ["__dummy_col"]
            assert "insert into cols should be corresponding" in error_of(
                c, "INSERT INTO t WITH LABEL n SELECT * FROM " + s3.call(key))[1]
            assert "Unknown column 'c1'" in error_of(
                c, "INSERT INTO t WITH LABEL n SELECT c1, c1 FROM " + s3.call(key))[1]
        text = ok_info(c, "INSERT INTO t WITH LABEL n SELECT * FROM "
                       + s3.call("e/0.csv", csv_schema="a:int;b:string"))[2]
        assert "'status':'VISIBLE'" in text
    assert fe.state()["inserts"]["begun"] == 1


def test_csv_options(start_fe, s3):
    s3.put("o/names.csv", "x,y\n1,a\n2,b\n")
    s3.put("o/types.csv", "x,y\nint,string\n1,a\n")
    s3.put("o/q.csv", '1,"a,b"\n2,"c""d"\n')
    s3.put("o/z.csv.gz", gzip.compress(b"1,zip\n"))
    s3.put("o/multi.csv", "h\n1||a@@2||b@@")
    s3.put("o/short.csv", "1,a\n2\n3,c,extra\n")
    s3.put("o/cr.csv", "1,a\r\n2,b\r\n")
    fe = start_fe("4.0")
    with fe.connect() as c:
        def got(key, fmt="csv", **more):
            return rows(c, "SELECT * FROM " + s3.call(key, fmt, column_separator=more.pop("sep", ","), **more))
        assert got("o/names.csv", "csv_with_names") == (("1", "a"), ("2", "b"))
        assert got("o/types.csv", "csv_with_names_and_types") == (("1", "a"),)
        assert got("o/q.csv", enclose='\\"') == (("1", "a,b"), ("2", 'c"d'))
        assert got("o/z.csv.gz") == (("1", "zip"),)
        assert got("o/multi.csv", sep="||", line_delimiter="@@", skip_lines="0") == (
            ("h\n1", "a"), ("2", "b"))
        assert got("o/short.csv") == (("1", "a"), ("2", None), ("3", "c"))
        assert got("o/names.csv", skip_lines="1", csv_schema="k:int;v:string") == ((1, "a"), (2, "b"))
        assert got("o/cr.csv") == (("1", "a"), ("2", "b"))
    with start_fe("2.1").connect() as c:
        assert got("o/cr.csv")[0] == ("1", "a\r")


def test_json(start_fe, s3):
    lines = [{"k": 1, "v": "a", "n": {"x": [1, 2]}}, {"v": "b", "k": None}]
    s3.put("j/l.json", "\n".join(json.dumps(x) for x in lines) + "\n")
    s3.put("j/a.json", json.dumps(lines))
    s3.put("j/one.json", json.dumps(lines[0]))
    s3.put("j/bad.json", '{"k": 1}\n{"k": \n')
    with start_fe("4.0").connect() as c:
        want = (("1", "a"), (None, "b"))
        assert rows(c, "SELECT k, v FROM " + s3.call("j/l.json", "json")) == want
        assert rows(c, "SELECT k, v FROM " + s3.call("j/a.json", "json", strip_outer_array="true")) == want
        assert rows(c, "SELECT v FROM " + s3.call("j/l.json", "json", jsonpaths='[\\"$.v\\"]')) == (
            ("a",), ("b",))
        try:
            rows(c, "SELECT k FROM " + s3.call("j/bad.json", "json"))
            raise AssertionError("a broken line was read")
        except Exception as e:
            assert "json" in str(e).lower()
    with start_fe("3.0").connect() as c:
        assert rows(c, "SELECT k FROM " + s3.call("j/one.json", "json")) == (("1",),)
        assert "Parse json" in error_of(c, "SELECT k FROM " + s3.call("j/l.json", "json"))[1]
        assert rows(c, "SELECT k, v FROM " + s3.call("j/l.json", "json", read_json_by_line="true")) == want


def test_parquet(start_fe, s3, tmp_path):
    import duckdb
    for name, extra in (("a", ""), ("b", ", 'more' AS extra")):
        duckdb.sql("SELECT 1::INT AS Id, 'p%s' AS v%s" % (name, extra)).write_parquet(
            str(tmp_path / name))
        s3.put("p/%s.parquet" % name, (tmp_path / name).read_bytes())
    fe = start_fe("4.0")
    with fe.connect() as c:
        assert ok_info(c, "INSERT INTO test.t SELECT id, v FROM " + s3.call("p/*.parquet", "parquet"))[0] == 2
        assert rows(c, "SELECT v FROM test.t ORDER BY v") == (("pa",), ("pb",))


@pytest.mark.parametrize("profile, change, text", [
    ("3.0", {"s3__endpoint": None, "endpoint": "http://127.0.0.1:1"}, "Properties 's3.endpoint' is required."),
    ("3.0", {"fmt": "", }, "format: is not supported."), ("4.0", {"fmt": "xls"}, "format:xls is not supported."),
    ("3.0", {"uri": "ftp://b/k"}, "Invalid scheme: ftp://b/k"), ("4.0", {"uri": "b/k"}, "Invalid uri"),
    ("4.0", {"s3__access_key": "WRONG"}, "Can not build s3"), ("3.0", {"s3__region": None}, "s3.region"),
    ("4.0", {"s3__endpoint": "http://127.0.0.1:1"}, "Failed to access object storage"),
    ("4.0", {"column_separator": ""}, "column_separator can not be empty."),
    ("4.0", {"compress_type": "ZIP"}, "Compress type : ZIP is not supported."),
])
def test_property_errors(start_fe, s3, profile, change, text):
    s3.put("k.csv", "1\ta\n")
    change = dict(change)
    fmt = change.pop("fmt", "csv")
    with start_fe(profile).connect() as c:
        code, got = error_of(c, "SELECT * FROM " + s3.call("k.csv", fmt, **change))
        assert code == 1105 and text in got
        assert "wJalr" not in got


def test_aliases_and_case(start_fe, s3):
    s3.put("k.csv", "1\ta\n")
    with start_fe("3.0").connect() as c:
        call = s3.call("k.csv", s3__access_key=None, s3__secret_key=None, ACCESS_KEY=s3.access,
                       AWS_SECRET_KEY=s3.secret, s3__region=None, REGION="us-east-1")
        assert rows(c, "SELECT * FROM " + call) == (("1", "a"),)
    with start_fe("4.0").connect() as c:
        call = s3.call("k.csv", s3__endpoint=None, endpoint=s3.url)
        assert rows(c, "SELECT * FROM " + call) == (("1", "a"),)


def test_explain_plans_but_does_not_load(start_fe, s3):
    s3.put("k.csv", "1\ta\n")
    fe = start_fe("4.0", "--user", "no:p:db:test:Select_priv")
    with fe.connect("no", "p") as c:
        rows(c, "EXPLAIN INSERT INTO test.t SELECT * FROM " + s3.call("k.csv"))
        assert "corresponding" in error_of(c, "EXPLAIN INSERT INTO test.t SELECT c1 FROM "
                                           + s3.call("k.csv"))[1]
        assert "does not exist" in error_of(c, "EXPLAIN INSERT INTO test.nix SELECT c1 FROM "
                                            + s3.call("k.csv"))[1]
    assert fe.state()["inserts"]["begun"] == 0


def test_exact_uri_union_and_odd_names(start_fe, s3):
    s3.put("odd/a b+c%20=@.csv", "1\ta\n")
    s3.put("odd/\u00fcn\u00ef.csv", "2\tb\n")
    with start_fe("3.0").connect() as c:
        sql = "SELECT c1 FROM %s UNION ALL SELECT c1 FROM %s ORDER BY 1" % (
            s3.call("odd/a b+c%20=@.csv"), s3.call("odd/\u00fcn\u00ef.csv"))
        assert rows(c, sql) == (("1",), ("2",))


def test_names_a_be_cannot_read(start_fe, s3):
    s3.put("h/a#b.csv", "1\ta\n")
    s3.put("w/a://b.csv", "1\ta\n")
    with start_fe("4.0").connect() as c:
        assert "h/a" in error_of(c, "SELECT * FROM " + s3.call("h/*.csv"))[1]
        assert "Invalid S3 URI" in error_of(c, "SELECT * FROM " + s3.call("w/**.csv"))[1]


def test_vanished_between_listing_and_reading(start_fe, s3):
    s3.put("v/1.csv", "1\ta\n")
    s3.put("v/2.csv", "2\tb\n")
    fe = start_fe("4.0", "--knob", "slow_ms=600000")
    with fe.connect() as c:
        c._execute_command(3, "INSERT INTO test.t WITH LABEL v SELECT * FROM " + s3.call("v/*.csv"))
        fe.wait("planned", lambda: fe.label("v") == "PREPARE")
        s3.client.delete_object(Bucket=s3.bucket, Key="v/2.csv")
        fe.knobs(slow_ms=0)
        with pytest.raises(Exception, match="failed to read"):
            c._read_query_result()
    assert fe.label("v") == "ABORTED"


def test_corrupt_gzip(start_fe, s3):
    whole = gzip.compress(b"1,zip\n" * 100)
    s3.put("z/a.csv.gz", whole[:-20])
    s3.put("z/b.csv.gz", whole[:15] + b"\xff\xff\xff" + whole[18:])
    sql = "INSERT INTO test.t SELECT c1, c2 FROM %s"
    options = {"column_separator": ",", "csv_schema": "c1:int;c2:string"}
    with start_fe("4.0").connect() as c:
        assert "Compressed file has been truncated, which is not allowed" in error_of(
            c, sql % s3.call("z/a.csv.gz", **options))[1]
        assert "Failed to inflate. return code: -3" in error_of(
            c, sql % s3.call("z/b.csv.gz", **options))[1]
