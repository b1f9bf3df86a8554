"""The parts of the test bed work together before anything is asked of sluice."""

import botocore.exceptions
import procs
import pytest
from bucket import Bucket


def test_bucket_keeps_what_is_put(bucket):
    first, second = bucket.put_rows("in/a.csv", 3), bucket.put_rows("in/b.csv", 2)
    assert [*first, *second] == [1, 2, 3, 4, 5]
    assert bucket.list("in/") == ["in/a.csv", "in/b.csv"]
    bucket.remove("in/a.csv")
    assert bucket.list() == ["in/b.csv"]


def test_wrong_secret_key_is_refused_by_swift(swift, bucket):
    class Stranger:
        endpoint, region, access_key, secret_key = (swift.endpoint, swift.region,
                                                    swift.access_key, "not it")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch|403"):
        Bucket(Stranger, bucket.name).list()


@pytest.mark.quick
def test_standin_survives_sigkill_on_its_ports(standin):
    fe = standin()
    fe.rows("CREATE DATABASE kept")
    ports = (fe.port, fe.http_port)
    fe.kill9()
    fe.restart()
    assert (fe.port, fe.http_port) == ports
    assert "kept" in [row["Database"] for row in fe.rows("SHOW DATABASES")]


@pytest.mark.quick
def test_sluice_comes_back_on_its_ports(standin, sluice):
    proxy = sluice(standin())
    assert proxy.rows("SELECT 1 AS one") == [{"one": 1}]
    old = proxy.pid
    proxy.kill9()
    assert procs.http_get(proxy.http_port, "/health")[0] == 0
    proxy.restart()
    assert proxy.pid != old
    assert proxy.rows("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.quick
def test_rig_loads_a_file(rig):
    r = rig()
    r.bucket.put_rows("in/1.csv", 5)
    r.create_job()
    r.check_exactly_once()
    r.check_task_ids()


def test_unhealthy_program_is_reported_with_its_words(registry):
    process = registry.add(procs.Process("broken", registry.new_directory("broken"),
                                         ["sh", "-c", "echo no such luck >&2; exit 4"]))
    process.start()
    with pytest.raises(procs.ProcessError, match="(?s)ended with 4.*no such luck"):
        process.wait_ready("^ready", 5)


def test_free_ports_differ():
    ports = {procs.free_port() for _ in range(50)}
    assert len(ports) == 50
