"""
Points 33 to 37, and again 26 to 28: data and offset in one transaction of Doris
("guarantee"="transactional"). Sluice's two-phase commit is this one.
"""

import contextlib

import pytest

import procs
from link import TO_FE, TO_SLUICE
from points import point

TRANSACTIONAL = {"guarantee": "transactional"}
COMMIT = rb"^....\x03COMMIT"


@point(33, "COMMIT is answered 'transaction not found', the FE knows neither it nor its label")
def test_point_33_not_found_at_commit(rig):
    made = rig().start(properties=TRANSACTIONAL)
    made.fe.knobs(txn_not_found=1)
    made.put("100")
    made.check()


@point(34, "the link is cut in the transaction's INSERT, or before COMMIT; SIGKILL there")
@pytest.mark.parametrize("case", ["insert", "commit", "crash"])
def test_point_34_cut_before_the_commit(rig, link, case):
    made = rig(front=link).start(properties=TRANSACTIONAL)
    if case == "insert":
        made.fe.knobs(cut_in_txn=1)
    elif case == "commit":
        link.cut(TO_FE, pattern=COMMIT)
    else:
        link.hold(TO_FE, COMMIT)
    made.put("100")
    if case == "crash":
        link.wait_hit()
        made.crash()
        link.release(drop=True)
        made.sluice.start()
    made.check()


@point(35, "the FE commits and its reply is lost; SIGKILL before it arrives")
@pytest.mark.parametrize("case", ["cut", "error", "crash"])
def test_point_35_reply_of_the_commit_lost(rig, link, case):
    made = rig(front=link).start(properties=TRANSACTIONAL)
    if case == "crash":
        link.hold(TO_SLUICE, rb"'status':'VISIBLE'")
    else:
        made.fe.knobs(**{"cut_after_commit" if case == "cut" else "err_after_commit": 1})
    made.put("100")
    if case == "crash":
        link.wait_hit()
        made.crash()
        link.release(drop=True)
        made.sluice.start()
    made.check()


@point(36, "COMMIT is held, SIGKILL; the next life decides the range; then the old COMMIT arrives")
def test_point_36_commit_arrives_twice(rig, link):
    made = rig(front=link).start(properties=TRANSACTIONAL)
    link.hold(TO_FE, COMMIT)
    made.put("100")
    link.wait_hit()
    label = made.tasks()[-1]["Label"]
    made.crash()
    made.sluice.start()
    procs.wait_until(lambda: made.label_state(label) != "PREPARE" or made.loads() > 2, 30,
                     "the open transaction to be fenced, or met by a second try")
    link.release()
    made.put("200")
    made.check()


@point(36, "the INSERT of a task that succeeded is sent once more by somebody else, word for word")
def test_point_36_load_sent_again(rig, link):
    made = rig(front=link).start()
    label = made.tasks()[0]["Label"]
    again = "INSERT INTO %s WITH LABEL `%s` SELECT c1, c2, c3, c4 FROM %s" % (
        made.target, label, made.bucket.tvf("in/000.csv"))
    with pytest.raises(Exception, match="already been used"):
        made.fe.rows(again)
    made.put("100")
    made.check(n_tasks=2)


@point(37, "sluice fences a transaction that an FE left behind, while somebody else has one open")
def test_point_37_abort_of_the_right_one(rig):
    made = rig(shimmed=True).start()
    made.fe.rows("CREATE TABLE %s.other LIKE %s" % (made.db, made.target))
    with contextlib.closing(made.fe.connect(db=made.db)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN WITH LABEL `%s0`" % made.tasks()[0]["Label"])
        cursor.execute("INSERT INTO other SELECT 1, 'x', 1, NULL")
        made.fe.knobs(cut_before_commit=1)
        made.put("100")
        label = made.wait_loading()
        made.wait_asked(label)
        made.sluice.control.pass_time(6)
        made.put("200")
        made.check(n_tasks=3)
        cursor.execute("COMMIT")
    assert made.fe.rows("SELECT id FROM %s.other" % made.db) == [{"id": 1}]


@point(26, "the label is forgotten by age, data and offset in one transaction: sluice finds out by"
           " itself")
@pytest.mark.parametrize("is_loaded", [True, False])
def test_point_26_forgotten_and_found_by_its_offset(rig, link, is_loaded):
    made = rig(front=link)
    made.fe.knobs(label_keep_s=1, label_clean_ms=50)
    made.start(properties=TRANSACTIONAL)
    lose_at_commit(made, link, is_loaded)
    if is_loaded:
        label = made.label
        procs.wait_until(lambda: made.label_state(label) is None, 20, "the label to be forgotten")
    made.sluice.start()
    made.put("200")
    made.check()


@point(27, "the label is pushed out, data and offset in one transaction: sluice finds out by "
           "itself")
def test_point_27_pushed_out_and_found_by_its_offset(rig, link):
    made = rig(front=link)
    made.fe.knobs(label_num=10, label_clean_ms=50)
    made.start(properties=TRANSACTIONAL)
    lose_at_commit(made, link, True)
    made.push_labels_out(14)
    label = made.label
    procs.wait_until(lambda: made.label_state(label) is None, 20, "the label to be forgotten")
    made.sluice.start()
    made.put("200")
    made.check()


@point(28, "CLEAN LABEL of just the label that is in doubt; data and offset in one transaction: "
           "sluice finds out by itself")
def test_point_28_cleaned_and_found_by_its_offset(rig, link):
    made = rig(front=link).start(properties=TRANSACTIONAL)
    lose_at_commit(made, link, True)
    made.fe.rows("CLEAN LABEL `%s` FROM %s" % (made.label, made.db))
    made.sluice.start()
    made.put("200")
    made.check()


def lose_at_commit(made, link, is_loaded):
    """SIGKILL while COMMIT is on its way, or its answer."""
    if is_loaded:
        link.hold(TO_SLUICE, rb"'status':'VISIBLE'")
    else:
        link.hold(TO_FE, COMMIT)
    made.put("100")
    link.wait_hit()
    made.label = made.tasks()[-1]["Label"]
    made.crash()
    link.release(drop=True)
