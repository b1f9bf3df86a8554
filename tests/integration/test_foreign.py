"""
What is not Sluice's is the FE's: thousands of statements, of Debian's mariadb-test package (read where
it is installed) and of tests/golden/doris_foreign.sql, are none of ours, and arrive byte for byte,
whatever they are mixed with and however they are cut on the wire.
"""

import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

import hostile_rig
import procs
import wire
from hostile_rig import fe, front  # noqa: F401: fixtures

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "bench"))

import statements  # noqa: E402

DORIS = TESTS / "golden" / "doris_foreign.sql"
BUDGET_S = 6
WRONG = [b"PAUSE JOB n", b"CREATE JOB a+b", b"ALTER JOB n", b"EXPLAIN JOB", b"CANCEL TASK",
         b"SHOW JOBS x", b"DESC JOB WHERE a", b"SELECT * FROM jobs()"]

# Behind a COM_STMT_PREPARE, and before it answers a command itself, sluice has the FE give one.
SIGN = wire.packet(0, b"\x0e")


def doris_statements():
    lines = [line for line in DORIS.read_text().splitlines() if not line.startswith("-- ")]
    return [s.strip().removesuffix(";") for s in "\n".join(lines).split(";\n")]


def classify(texts):
    """What each is: foreign, ours, bad or script."""
    program = procs.build_dir() / "tests" / "golden" / "classify"
    done = subprocess.run([program], input=b"".join(b"%d\n%s" % (len(t), t) for t in texts),
                          capture_output=True, check=True, timeout=procs.patience(60))
    verdicts = done.stdout.decode().split()
    assert len(verdicts) == len(texts)
    return verdicts


def claimed(texts):
    return [(v, t) for v, t in zip(classify(texts), texts) if v != "foreign"]


@pytest.mark.quick
def test_statements_of_doris_are_foreign():
    texts = [s.encode() for s in doris_statements()]
    assert len(texts) > 500
    assert claimed(texts) == []
    assert claimed([b"/* job */ " + t + b" -- jobs(" for t in texts]) == []
    assert claimed([t + b"\n;\n" + u for t, u in zip(texts, reversed(texts))]) == []
    assert classify([b"SELECT 1; PAUSE JOB WHERE jobName = 'n'", b"SHOW JOBS", b"DROP JOB n"]) == [
        "script", "ours", "bad"]


def test_statements_of_mariadb_are_foreign():
    files = statements.mariadb_files()
    if not files:
        pytest.skip("Debian's mariadb-test is not installed")
    texts = [s.encode() for s in statements.read_statements(files, 50000)]
    assert len(texts) > 5000
    assert claimed(texts) == []


# --- identical bytes ------------------------------------------------------------------------------

class Recorder:
    """A script for hostile_rig.FE: the bytes of each client's commands."""

    def __init__(self):
        self.streams = {}

    def __call__(self, stream):
        user = wire.log_in(stream)[32:].split(b"\0")[0].decode()
        stream.seen.clear()
        self.streams[user] = stream
        hostile_rig.go_on(stream)


class Mix:
    """Random commands: [(bytes sent, bytes that the FE must get, bytes that the client must get)]"""

    def __init__(self, rng, texts):
        self.rng, self.texts = rng, texts

    def text(self):
        rng, n = self.rng, self.rng.choice([1, 1, 1, 1, 2, 3, 8])
        text = rng.choice([b";", b" ; ", b";\n", b"; -- x\n"]).join(
            rng.choice(self.texts) for _ in range(n))
        if rng.random() < 0.2:
            text = rng.choice([b"/* PAUSE JOB */", b" \n", b"-- SHOW JOBS\n", b";"]) + text
        if rng.random() < 0.2:
            text += rng.choice([b";", b" /* CREATE JOB n */", b"\0", b" -- tasks(", b" /* \xff */"])
        if rng.random() < 0.05:
            text += b" /* %s */" % (rng.choice([b"x", b"job ", b"; '", b"\0"]) * rng.randrange(30000))
        return text

    def command(self):
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            wrong = wire.packet(0, rng.choice([b"\x03", b"\x16"]) + rng.choice(WRONG))
            return wrong, b"", None  # answered by sluice
        if draw < 0.2:
            payload = rng.choice([b"\x09", b"\x02job", b"\x1f"])
        else:
            payload = rng.choice([b"\x03", b"\x03", b"\x03", b"\x16"]) + self.text()
        sent = wire.packet(0, payload)
        return sent, sent, hostile_rig.answer(payload)

    def send(self, client, data):
        """In as many writes as chance will have it, most often a few."""
        at, size = 0, self.rng.choice([3, 50, 1460, 1 << 20])
        while at < len(data):
            n = self.rng.randint(1, size)
            client.send(data[at:at + n])
            at += n


def packets_of(data):
    """Its packets, one by one, so that a failure can be read."""
    found, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at:at + 3], "little")
        found.append(bytes(data[at:end]))
        at = end
    return found


def play(mix, client, stream):
    """Some commands at once; returns how many of them were the FE's."""
    stream.seen.clear()
    commands = [mix.command() for _ in range(mix.rng.choice([1, 1, 2, 5, 20]))]
    mix.send(client, b"".join(sent for sent, _, _ in commands))
    for sent, _, reply in commands:
        if reply is None:
            payload = client.read_packet()[1]
            assert payload[0] == wire.ERR, (sent, payload)
        else:
            assert client.read(len(reply)) == reply, sent[:200]
    wanted = [forwarded for _, forwarded, _ in commands if forwarded]
    assert [p for p in packets_of(stream.seen) if p != SIGN] == wanted
    return sum(reply is not None for _, _, reply in commands)


@pytest.mark.quick
@pytest.mark.sanitize
def test_identical_bytes(front, fe):
    """Foreign in, identical bytes out."""
    seed = int(os.environ.get("SLUICE_TEST_SEED") or random.randrange(1 << 30))
    print("SLUICE_TEST_SEED=%d" % seed)
    rng = random.Random(seed)
    texts = doris_statements() + statements.read_statements(statements.mariadb_files()[:200], 5000)
    texts = [t for t in (s.encode() for s in texts) if b"PROCEDURE" not in t.upper()]
    recorder = fe.script = Recorder()
    made = front(fe)
    mix, n_commands, n_clients = Mix(rng, texts), 0, 0
    deadline = time.monotonic() + BUDGET_S
    while time.monotonic() < deadline:
        n_clients += 1
        user = "client%d" % n_clients
        client = wire.Client(made.port, user)
        stream = procs.wait_until(lambda: recorder.streams.get(user), 10, "the FE's side")
        for _ in range(50):
            n_commands += play(mix, client, stream)
        client.command(b"\x01")
        assert client.is_closed()
    print("%d commands of %d clients" % (n_commands, n_clients))
    assert n_commands > 100
