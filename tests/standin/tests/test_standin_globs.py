"""Uris and globs of every version: E2 and E4, from the facts and from Doris's own test cases."""

import pytest
from standin import globs
from standin.profiles import PROFILES


@pytest.mark.parametrize("text, want", [
    ("f_{1..3}.csv", "f_{1,2,3}.csv"), ("f_{3..1}", "f_{1,2,3}"), ("f_{2..2}", "f_{2}"),
    ("f_{1..2,3,1..3}", "f_{1,2,3}"), ("f_{-1..2}", "f_{-1..2}"), ("f_{-1..2,1..3}", "f_{1,2,3}"),
    ("f_{a,1,b}", "f_{1}"), ("f_{01,02}", "f_{1,2}"), ("f_{a..z}", "f_{a..z}"), ("f_{}", "f_{}"),
    ("f_{2..4,6}", "f_{2,3,4,6}"), ("f_{a.csv,b.csv}", "f_{a.csv,b.csv}"),
    ("f_{a\\,b,c}", "f_{a,b,c}"), ("f_{a\\}", "f_{a}"),
])
def test_brace_rewriting(text, want):
    assert globs.rewrite_braces(text) == want


@pytest.mark.parametrize("text", ["f_{99999999999}", "f_{a$,b}"])
def test_brace_rewriting_throws(text):
    with pytest.raises(globs.GlobError):
        globs.rewrite_braces(text)


KEYS = ["d/1.csv", "d/2.csv", "d/01.csv", "d/a.csv", "d/e/1.csv", "d/a,b.csv", "x"]


@pytest.mark.parametrize("version, pattern, want", [
    ("2.0", "d/*.csv", {"d/1.csv", "d/2.csv", "d/01.csv", "d/a.csv", "d/a,b.csv"}),
    ("2.1", "d/{1,e/1}.csv", {"d/1.csv", "d/e/1.csv"}),
    ("2.1", "d/{1,{2,a}}.csv", {"d/1.csv", "d/2.csv", "d/a.csv"}),
    ("3.0", "d/[^1-2].csv", {"d/a.csv"}), ("3.0", "d/a\\,b.csv", {"d/a,b.csv"}),
    ("3.0", "d/{01,2}.csv", {"d/01.csv", "d/2.csv"}),
    ("4.0", "d/{01,2}.csv", {"d/1.csv", "d/2.csv"}), ("4.0", "d/{01.csv,2.csv}", {"d/01.csv", "d/2.csv"}),
    ("4.0", "d/**.csv", {k for k in KEYS if k.endswith(".csv")}), ("4.0", "d/[!1-2].csv", {"d/a.csv"}),
    ("4.0", "d/{a,1,b}.csv", {"d/1.csv"}), ("4.1", "d/1.csv", {"d/1.csv"}),
])
def test_matching(version, pattern, want):
    match, prefix = globs.matcher(pattern, PROFILES[version])
    assert {k for k in KEYS if match(k)} == want
    assert all(k.startswith(prefix) for k in want)


@pytest.mark.parametrize("version, pattern", [("4.0", "d/{a,{b,c}}"), ("4.0", "d/{a"), ("4.0", "d/[a"),
                                              ("3.0", "d/{a"), ("3.0", "d/[a")])
def test_bad_patterns(version, pattern):
    with pytest.raises(globs.GlobError):
        globs.matcher(pattern, PROFILES[version])


@pytest.mark.parametrize("uri, style, key", [
    ("s3://b/d/f.csv?x#y", False, "d/f.csv"), ("s3://b/d/f?.csv", False, "d/f"),
    ("s3://b/d//./e/../f.csv", False, "d/f.csv"), ("http://h:1/b/d/f.csv", True, "d/f.csv"),
    ("https://b.s3.eu-west-1.amazonaws.com/d/f.csv", False, "d/f.csv"),
])
def test_uris(uri, style, key):
    where = globs.parse_uri(uri, PROFILES["3.0"], style)
    assert (where.bucket, where.key) == ("b", key)


@pytest.mark.parametrize("version, uri, text", [
    ("2.0", "s3://b/{a,b}", "Invalid s3 uri"), ("2.0", "s3://b/a b", "Invalid s3 uri"),
    ("2.0", "s3://b/[a]", "Invalid s3 uri"), ("3.0", "ftp://b/a", "Invalid scheme: ftp://b/a"),
    ("4.0", "ftp://b/a", "Invalid uri"), ("3.0", "s3://b/", "missing key"),
    ("2.0", "gs://b/a", "Invalid scheme"),
])
def test_refused_uris(version, uri, text):
    with pytest.raises(globs.UriError, match=text.replace("[", r"\[")):
        globs.parse_uri(uri, PROFILES[version])


def test_20_authority():
    with pytest.raises(globs.UriError, match="bucket.endpoint"):
        globs.parse_uri("s3://b/k", PROFILES["2.0"], has_endpoint=False)
    where = globs.parse_uri("s3://b.host:1/k", PROFILES["2.0"], has_endpoint=False)
    assert (where.bucket, where.endpoint, where.key) == ("b", "host:1", "k")
