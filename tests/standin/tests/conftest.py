"""Fixtures: a stand-in per test, and an S3 store (the one S3_URL names, else a small fake)."""

import os
import pathlib
import sys
import time

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2]), str(pathlib.Path(__file__).parent)]

from standin.launcher import Fe  # noqa: E402
from standin_helpers import S3  # noqa: E402


@pytest.fixture
def start_fe(tmp_path):
    fes = []

    def start(profile="4.0", *args, table=True):
        fe = Fe(tmp_path / ("fe%d" % len(fes)), ["--profile", profile, *args])
        fes.append(fe)
        if table:
            with fe.connect() as c, c.cursor() as k:
                k.execute("CREATE DATABASE IF NOT EXISTS test")
                k.execute("CREATE TABLE IF NOT EXISTS test.t (id INT, v VARCHAR(20)) "
                          "DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 "
                          'PROPERTIES ("replication_num" = "1")')
        return fe

    yield start
    for fe in fes:
        fe.stop()


@pytest.fixture(scope="session")
def s3_url():
    url = os.environ.get("S3_URL")
    if url:
        yield url
        return
    from fake_s3 import FakeS3
    with FakeS3() as fake:
        yield fake.url


@pytest.fixture
def s3(s3_url, tmp_path_factory):
    return S3(s3_url, "b%d" % time.time_ns())
