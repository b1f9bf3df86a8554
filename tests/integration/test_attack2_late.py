"""A load that is sent again by a proof of a moment ago is not sent when that moment is long ago."""

import time

import pytest

import procs
from fake_fe import ok
from sink_tool import fe, load  # noqa: F401

SEND_MS = 50


@pytest.mark.parametrize("is_slow", [True, False])
def test_connecting_takes_longer_than_the_proof_lasts(fe, is_slow):
    def slowly(link, sql):
        then = time.monotonic()
        procs.wait_until(lambda: not is_slow or time.monotonic() > then + 2 * SEND_MS / 1000, 10,
                         "the proof to be old")
        link.send(ok())

    info = "{'label':'l1', 'status':'VISIBLE', 'txnId':'7'}"
    fe.on("^SET insert_timeout", slowly).on("^INSERT", ok(1, info=info))
    got = load(fe, send_ms=SEND_MS if is_slow else 60 * 1000)
    assert got["result"] == ("NOT_SENT" if is_slow else "VISIBLE"), got
    assert ("waited too long" in got["error"]) == is_slow, got
    assert len(fe.statements("^INSERT")) == (0 if is_slow else 1)
