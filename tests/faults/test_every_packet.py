"""
Every packet: the link between sluice and the FE is cut at the n-th packet of a load, in one direction,
for all n until a load ends without having been cut; and likewise with data and offset in one
transaction.
"""

import pytest

from link import TO_FE, TO_SLUICE
from points import point


@pytest.mark.parametrize("way, guarantee", [
    pytest.param(TO_FE, "label", marks=point(
        3, "the link is cut before the n-th packet to the FE, for all n of a load")),
    pytest.param(TO_SLUICE, "label", marks=point(
        5, "the link is cut before the n-th packet from the FE, for all n of a load")),
    pytest.param(TO_FE, "transactional", marks=point(
        34, "the link is cut before the n-th packet to the FE, for all n of a transaction")),
    pytest.param(TO_SLUICE, "transactional", marks=point(
        35, "the link is cut before the n-th packet from the FE, for all n of a transaction"))])
@pytest.mark.timeout(600)
def test_every_packet(rig, link, way, guarantee, record_property):
    made = rig({"scheduler.resume_delay": 20, "scheduler.max_auto_resumes": 1000}, front=link)
    made.start(properties={"guarantee": guarantee})
    n = 1
    while True:
        link.cut(way, at=n)
        made.put("1%02d" % n, 2)
        try:
            made.wait_rows(made.bucket.n_rows)  # asked of the FE: nothing of ours is on the link
        except TimeoutError as e:
            raise AssertionError("with n = %d: %s" % (n, e)) from e
        if not link.hit.is_set():
            break
        n += 1
    link.release()
    made.check()
    assert n > 3, "the loop met only %d packets" % (n - 1)
    record_property("figure", "every packet: %d loads cut, one at each packet %s (%s)"
                    % (n - 1, way, guarantee))
