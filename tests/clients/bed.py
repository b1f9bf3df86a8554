"""
The places the clients are sent to: MariaDB behind Doris's greeting and the stand-in FE of three
versions, each with a sluice before it, all made when first asked for and kept for the run.
"""

import collections
import pathlib
import sys

import fake_fe
import procs
import rig
from mariadb import PASSWORD, USER, MariaDB

PROFILES = ("2.0", "2.1", "4.1")
NO_OBJECTS = ('<?xml version="1.0"?><ListBucketResult><Name>none</Name><KeyCount>0</KeyCount>'
              '<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>')

# `server` is where a client goes directly, `data` where a test looks and prepares as root.
Place = collections.namedtuple("Place", "name server sluice data")


class DorisFront(procs.Process):
    """MariaDB behind a Doris FE's greeting: doris_front.py."""

    def __init__(self, directory, server):
        self.port = procs.free_port()
        super().__init__("doris_front", directory, [
            sys.executable, "-m", "clients.doris_front", "--port", self.port, "--backend",
            server.port], {"PYTHONPATH": str(procs.ROOT / "tests")})

    def wait_started(self):
        self.wait_ready(r"^ready port=%d" % self.port)


class Bed:
    """Owns the processes."""

    def __init__(self, directory):
        self.directory, self.processes, self.places = pathlib.Path(directory), [], {}
        self.s3 = None

    def add(self, make, *args):
        path = self.directory / ("p%d" % len(self.processes))
        path.mkdir()
        process = make(path, *args)
        self.processes.append(process)
        process.start()
        return process

    def place(self, name):
        if name not in self.places:
            self.places[name] = self._mariadb() if name == "mariadb" else self._standin(name)
        return self.places[name]

    def _mariadb(self):
        data = self.add(MariaDB)
        front = self.add(DorisFront, data)
        return Place("mariadb", front, self.add(procs.Sluice, front), data)

    def _standin(self, profile):
        fe = self.add(procs.StandIn, profile, {USER: (PASSWORD, "global:Admin_priv")})
        procs.rows(fe.connect, "CREATE DATABASE test")
        procs.rows(fe.connect, rig.create_table_sql("test", "t"))
        return Place(profile, fe, self.add(procs.Sluice, fe), fe)

    def tvf(self):
        """S3(…) of a bucket that has nothing in it."""
        if self.s3 is None:
            self.s3 = fake_fe.FakeHTTP().on("GET ", NO_OBJECTS, Content_Type="application/xml")
        return ('S3("uri" = "s3://none/in/*.csv", "format" = "csv", "use_path_style" = "true", '
                '"s3.endpoint" = "http://127.0.0.1:%d", "s3.region" = "us-east-1", '
                '"s3.access_key" = "k", "s3.secret_key" = "s")' % self.s3.port)

    def end(self):
        """What went wrong at the end, newest process first."""
        wrong = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except procs.ProcessError as e:
                wrong.append(str(e))
            finally:
                process.kill9()
            wrong += process.sanitizer_reports()
        if self.s3:
            self.s3.close()
        return wrong
