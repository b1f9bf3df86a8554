/* The store under test: the real one, behind a gate that refuses writes. */
#include <string.h>

#include "tests/unit/sched_fakes.h"

struct store {
    struct fake_store f; /* as struct sink above */
};

static struct store *real_of(const struct store *st)
{
    return st->f.real;
}

/* True: this write is refused without being carried out. */
static bool is_refused(struct store *st, bool *ret_is_late, struct err *err)
{
    int64_t i = ++st->f.n_writes;
    bool is_hit = i >= st->f.fail_from && i <= st->f.fail_to;
    *ret_is_late = is_hit && st->f.is_late && i == st->f.fail_from;
    if (is_hit) {
        (void)err_say(err, "the disk is full");
    }
    return is_hit && !*ret_is_late;
}

/* A late refusal is a lie: what was written is written. */
static enum store_result told(bool is_late, enum store_result result)
{
    return is_late ? STORE_FAIL : result;
}

static int64_t store_epoch(const struct store *st)
{
    return store_sqlite_ops.epoch(real_of(st));
}

static bool store_load(struct store *st, store_load_fn each, void *arg, struct err *err)
{
    return store_sqlite_ops.load(real_of(st), each, arg, err);
}

static enum store_result store_job_insert(struct store *st, const struct job_record *job,
                                          struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_insert(real_of(st), job, err));
}

static enum store_result store_job_delete(struct store *st, int64_t job_id, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_delete(real_of(st), job_id, err));
}

static enum store_result store_job_update(struct store *st, int64_t job_id,
                                          const struct job_update *u, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_update(real_of(st), job_id, u, err));
}

static enum store_result store_job_alter(struct store *st, const struct job_record *job,
                                         struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_alter(real_of(st), job, err));
}

static enum store_result store_task_begin(struct store *st, const struct task_record *task,
                                          struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.task_begin(real_of(st), task, err));
}

/* Committed ids rise, per job, over all restarts. */
static void note_commit(struct fake_store *f, const struct task_record *task)
{
    size_t i = 0;
    while (i < f->n_jobs && f->job_ids[i] != task->job_id) {
        i++;
    }
    f->is_wrong |= i < f->n_jobs && task->id <= f->last_task_ids[i];
    f->n_jobs += i == f->n_jobs;
    f->job_ids[i] = task->job_id;
    f->last_task_ids[i] = task->id;
}

static enum store_result store_task_commit(struct store *st, const struct task_record *task,
                                           int64_t expected, const struct file_marks *marks,
                                           struct err *err)
{
    bool is_late = false;
    if (is_refused(st, &is_late, err)) {
        return STORE_FAIL;
    }
    enum store_result result =
        store_sqlite_ops.task_commit(real_of(st), task, expected, marks, err);
    if (result == STORE_OK) {
        note_commit(&st->f, task);
    }
    return told(is_late, result);
}

static enum store_result store_task_end(struct store *st, int64_t job_id, int64_t task_id,
                                        const struct task_end *end, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.task_end(real_of(st), job_id, task_id, end, err));
}

static enum store_result store_task_aside(struct store *st, int64_t job_id, int64_t task_id,
                                          const struct task_aside *aside, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late,
                      store_sqlite_ops.task_aside(real_of(st), job_id, task_id, aside, err));
}

static enum store_result store_files_aside(struct store *st, const struct files_aside *aside,
                                           struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.files_aside(real_of(st), aside, err));
}

static enum store_result store_file_decide(struct store *st, int64_t job_id, const char *key,
                                           enum file_decision decision, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late,
                      store_sqlite_ops.file_decide(real_of(st), job_id, key, decision, err));
}

static int64_t store_n_tracked(struct store *st, int64_t job_id)
{
    return store_sqlite_ops.n_tracked(real_of(st), job_id);
}

static struct file_reader *store_reader_open(const struct store *st, struct err *err)
{
    return store_sqlite_ops.reader_open(real_of(st), err);
}

/* The real one's, by calls: its table is no constant here. */
static bool reader_begin(struct file_reader *r, int64_t job_id, const char *from, struct err *err)
{
    return store_sqlite_ops.reader_ops->begin(r, job_id, from, err);
}

static int reader_next(struct file_reader *r, struct file_mark *ret, struct err *err)
{
    return store_sqlite_ops.reader_ops->next(r, ret, err);
}

static void reader_end(struct file_reader *r)
{
    store_sqlite_ops.reader_ops->end(r);
}

static void reader_close(struct file_reader *r)
{
    store_sqlite_ops.reader_ops->close(r);
}

static const struct file_reader_ops fake_reader_ops = {
    .begin = reader_begin,
    .next = reader_next,
    .end = reader_end,
    .close = reader_close,
};

const struct store_ops fake_store_ops = {
    .scheme = "fake",
    .epoch = store_epoch,
    .load = store_load,
    .job_insert = store_job_insert,
    .job_delete = store_job_delete,
    .job_update = store_job_update,
    .job_alter = store_job_alter,
    .task_begin = store_task_begin,
    .task_commit = store_task_commit,
    .task_end = store_task_end,
    .task_aside = store_task_aside,
    .files_aside = store_files_aside,
    .file_decide = store_file_decide,
    .n_tracked = store_n_tracked,
    .reader_open = store_reader_open,
    .reader_ops = &fake_reader_ops,
};
