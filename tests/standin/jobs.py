"""The FE's own jobs: stored, shown by jobs() and tasks(), never run (facts G; streaming jobs 1 to 3, 8)."""

import json
import re
import time

from . import insert
from .errors import DorisError
from .results import Ok

STREAMING_PROPERTIES = ("max_interval", "s3.max_batch_files", "s3.max_batch_bytes", "offset")
FINAL = ("STOPPED", "FINISHED")
MAX_TASKS_SHOWN = 100  # max_streaming_task_show_count
ABSENT_IN_40 = "\\N"   # FeConstants.null_string, as text


def absent(profile):
    """What 4.0 writes where there is nothing, and what later versions do."""
    return ABSENT_IN_40 if profile.number < (4, 1) else ""


# --- CREATE JOB ---

def create_job(ex, c):
    profile = ex.profile
    if profile.old_parser:
        c.fail()
    c.expect("JOB")
    _, name = c.name()
    props = {}
    if profile.streaming_jobs and c.accept("PROPERTIES"):
        props = c.properties()
    c.expect("ON")
    streaming = bool(profile.streaming_jobs and c.accept("STREAMING"))
    strategy = absent(profile) if streaming else _schedule(c)
    comment = c.string() if c.accept("COMMENT") else ""
    c.expect("DO")
    at = c.tokens[c.i].pos if not c.done() else c.fail()
    stmt = insert.parse_insert(c)
    db = ex.current_db(None)
    if not streaming:
        ex.need_global("Admin_priv", "ADMIN")
    if name.startswith("inner_"):
        raise DorisError("job name can not start with inner_")
    _check_properties(props)
    planned = insert.plan(ex, stmt)  # LOAD on the target, among others
    planned.binding.drop()
    if name in ex.engine.jobs:
        raise DorisError("job name exist, jobName:" + name)
    ex.engine.save_job(_new_job(ex, name, streaming, strategy, comment, props,
                                _mask(c.text_from(at)), planned.table, db))
    return Ok()


def _new_job(ex, name, streaming, strategy, comment, props, sql, table, db):
    job = {n: "" for n in ex.profile.jobs}
    for column in ("CurrentOffset", "EndOffset", "LoadStatistic", "ErrorMsg", "JobRuntimeMsg",
                   "Properties"):
        if column in job:
            job[column] = absent(ex.profile)
    job.update(Id=str(ex.engine.new_job_id()), Name=name, Definer=ex.user.name,
               ExecuteType="STREAMING" if streaming else
               "ONE_TIME" if strategy.startswith("AT ") else "RECURRING",
               RecurringStrategy=strategy, Status="PENDING" if streaming else "RUNNING",
               ExecuteSql=sql, CreateTime=time.strftime("%Y-%m-%d %H:%M:%S"),
               SucceedTaskCount="0", FailedTaskCount="0", CanceledTaskCount="0", Comment=comment)
    if props:
        job["Properties"] = json.dumps(props, separators=(",", ":"))
    job.update(_db=table.db, _table=table.name, _current=db, _tasks=[])
    return job


def _check_properties(props):
    for key in props:
        if key not in STREAMING_PROPERTIES and not key.startswith("session."):
            raise DorisError("Invalid properties: [%s]. Supported keys are [%s] or any key starting with "
                             "'session.'." % (key, ", ".join(STREAMING_PROPERTIES)))


def _mask(sql):
    return re.sub(r"""((["'])[^"']*(?:secret|token|password)[^"']*\2\s*=\s*)(["'])[^"']*\3""",
                  r"\1\3*XXX\3", sql, flags=re.I)


UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK")  # as with enable_job_schedule_second_for_test


def _schedule(c):
    """RecurringStrategy; what is wrong with a schedule is said first of all."""
    c.expect("SCHEDULE")
    if c.accept("EVERY"):
        n, unit = c.integer(), c.identifier().upper().removesuffix("S")
        times = {w: c.next().value for w in ("STARTS", "ENDS") if c.accept(w)}
        if unit == "YEAR":
            raise DorisError("interval time unit can not be years")
        if unit not in UNITS:
            raise DorisError("Invalid interval time unit: " + unit)
        if "ENDS" in times and _is_past(times["ENDS"], times.get("STARTS")):
            raise DorisError("endTimeMs must be greater than the start time")
        return " ".join(["EVERY %d %s" % (n, unit), *("%s %s" % item for item in times.items())])
    c.expect("AT")
    start = c.next().value
    if start.upper() != "CURRENT_TIMESTAMP" and _is_past(start):
        raise DorisError("startTimeMs must be greater than current time")
    return "AT " + start


def _is_past(text, than=None):
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return text <= (than if than and than.upper() != "CURRENT_TIMESTAMP" else now)


# --- one job, by name ---

def _job_name(c):
    c.expect("WHERE")
    name = _named(c, "jobname")
    c.end()
    return name


def _named(c, wanted):
    key = c.identifier()
    if key.lower() != wanted:
        raise DorisError("Current not support left child of where: " + key)
    c.expect("=")
    t = c.peek()
    if t is not None and t.kind == "num":
        raise DorisError("Value must is string")
    name = c.string()
    if not name:
        raise DorisError("Value can't is null")
    return name


def _is_streaming(job):
    return job["ExecuteType"] == "STREAMING"


def _check_may(ex, job):
    """LOAD on a streaming job's target; the other jobs are the administrator's."""
    if _is_streaming(job):
        ex.need_load(job["_db"], job["_table"])
    else:
        ex.need_global("Admin_priv", "ADMIN")


def _own_job(ex, name, missing):
    job = ex.engine.jobs.get(name)
    if job is None:
        raise DorisError(missing + name)
    _check_may(ex, job)
    return job


def _need_admin_before_56965(ex):
    if ex.profile.jobs_admin_only:
        ex.need_global("Admin_priv", "ADMIN")


def job_state(ex, c):
    word = c.next().word()
    if ex.profile.old_parser:
        c.i = 0
        c.fail()
    c.expect("JOB")
    name = _job_name(c)
    _need_admin_before_56965(ex)
    if name.startswith("inner_"):
        raise DorisError("Can't alter inner job status")
    if word == "PAUSE" and name not in ex.engine.jobs:
        return Ok()
    job = _own_job(ex, name, "job not exist, jobName: ")
    wrong = _wrong_change(job, word)
    if wrong:
        raise DorisError("Alter job status error, jobName is %s, errorMsg is %s" % (name, wrong))
    status = "PAUSED" if word == "PAUSE" else "PENDING" if _is_streaming(job) else "RUNNING"
    ex.engine.save_job({**job, "Status": status})
    return Ok()


def _wrong_change(job, word):
    same = "Can't change job status to the same status"
    now = job["Status"]
    wanted = "PAUSED" if word == "PAUSE" else "PENDING" if _is_streaming(job) else "RUNNING"
    if now == wanted:
        return same
    if word == "RESUME" and now == "RUNNING":
        return same + ", job already running"
    if now in FINAL:
        return "Can't update job %s status to the %s status" % (now, wanted)
    return None


def drop_job(ex, c):
    if ex.profile.old_parser:
        c.fail()
    c.expect("JOB")
    there = c.accept("IF", "EXISTS")
    name = _job_name(c)
    _need_admin_before_56965(ex)
    if name not in ex.engine.jobs:
        if there:
            return Ok()
        raise DorisError("unregister job error, jobName:%s" % name)
    _own_job(ex, name, "")
    ex.engine.drop_job(name)
    return Ok()


def alter_job(ex, c):
    if not ex.profile.streaming_jobs:
        c.fail()
    c.expect("JOB")
    _, name = c.name()
    if name.startswith("inner_"):
        raise DorisError("Can't alter inner job")
    job = _own_job(ex, name, "job not exist, jobName: ")
    if not _is_streaming(job):
        raise DorisError("Unsupported job type for ALTER:" + job["ExecuteType"])
    if job["Status"] != "PAUSED":
        raise DorisError("Only PAUSED job can be altered")
    if c.done():
        c.fail()
    if c.accept("PROPERTIES"):
        props = c.properties()
        _check_properties(props)
        old = job.get("Properties")
        merged = {**(json.loads(old) if old and old != ABSENT_IN_40 else {}), **props}
        job = {**job, "Properties": json.dumps(merged, separators=(",", ":"))}
    if c.at("INSERT"):
        at = c.peek().pos
        planned = insert.plan(ex, insert.parse_insert(c))
        planned.binding.drop()
        if (planned.table.db, planned.table.name) != (job["_db"], job["_table"]):
            raise DorisError("The target table cannot be modified in ALTER JOB")
        job = {**job, "ExecuteSql": _mask(c.text_from(at))}
    c.end()
    ex.engine.save_job(job)
    return Ok()


def cancel(ex, c):
    c.next()
    if ex.profile.old_parser or not c.accept("TASK"):
        c.fail()
    c.expect("WHERE")
    name = _named(c, "jobname")
    c.expect("AND")
    key = c.identifier()
    if key.lower() != "taskid":
        raise DorisError("Current not support left child of where: " + key)
    c.expect("=")
    c.integer()
    c.end()
    if any(_is_streaming(job) for job in ex.engine.jobs.values()):
        raise DorisError("streaming job not support cancel task by id")
    _own_job(ex, name, "job not exist, jobName:")
    raise DorisError("no running task")


# --- jobs() and tasks() ---

def columns(profile, function):
    names = profile.jobs if function == "jobs" else profile.tasks
    if not names:
        raise DorisError("Could not find table function " + function)
    return names


def check_call(ex, props):
    """The properties of jobs() or tasks(); True for "insert", False for "mv"."""
    for key in props:
        if key.lower() != "type":
            raise DorisError("'%s' is invalid property" % key)
    kind = str(next(iter(props.values()), "")).lower()
    if kind not in ("insert", "mv"):
        raise DorisError("Invalid job metadata query")
    if kind == "insert" and ex.profile.jobs_admin_only and not ex.user.has("Admin_priv"):
        raise DorisError("only ADMIN priv can operate")
    return kind == "insert"


def rows(ex, function):
    """Of the jobs that the user may see, in the order of the columns."""
    names = columns(ex.profile, function)
    shown = [job for job in ex.engine.jobs.values() if _is_shown(ex, job)]
    found = shown if function == "jobs" else [t for job in shown for t in job.get("_tasks", ())]
    return [[item.get(n, "") for n in names] for item in found]


def _is_shown(ex, job):
    if _is_streaming(job):
        return ex.user.has("Load_priv", job["_db"], job["_table"])
    return ex.user.has("Admin_priv")


# --- control, not Doris: POST /standin/jobs ---

def control(engine, profile, wanted):
    """
    {"name": {"Status": …, any column of jobs(): text, "tasks": [{any column of tasks(): text}]}}:
    what the row of a job that exists shows, and its tasks, oldest first. ValueError says what is wrong.
    """
    for name, change in wanted.items():
        job = engine.jobs.get(name)
        if job is None:
            raise ValueError("there is no native job %r" % name)
        cells = {k: v for k, v in change.items() if k != "tasks"}
        _check_cells(cells, profile.jobs)
        job = {**job, **cells}
        if "tasks" in change:
            made = [_task(engine, profile, job, t) for t in change["tasks"]]
            job["_tasks"] = made[::-1][:MAX_TASKS_SHOWN]
        engine.save_job(job)


def _check_cells(cells, names):
    for key, value in cells.items():
        if key not in names or not (value is None or isinstance(value, str)):
            raise ValueError("%r: %r is no column of this version with a text or null" % (key, value))


def _task(engine, profile, job, cells):
    _check_cells(cells, profile.tasks)
    task_id = cells.get("TaskId") or str(engine.new_job_id())
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    task = {n: "" if n == "FirstErrorMsg" else ABSENT_IN_40 for n in profile.tasks}
    task.update(TaskId=task_id, JobId=job["Id"], JobName=job["Name"],
                Label="%s_%s" % (job["Id"], task_id), Status="SUCCESS", CreateTime=now,
                StartTime=now, FinishTime=now, User=job["Definer"])
    return {**task, **cells}
