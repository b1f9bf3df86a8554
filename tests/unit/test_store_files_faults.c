/*
 * The calls about tracked and bad files when things go wrong under them: each write, sync, read and
 * allocation fails in turn, and the process dies in each write and sync, also half-way through it.
 * What is found afterwards is what was there before a call or behind it, never anything in between.
 */
#include "tests/unit/store_fault_vfs.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/xmalloc.h"

static struct seen seen;

enum { N_CALLS = 13, N_DOOMED = 8200, N_FINGERPRINTS = N_CALLS + 1 };

static enum store_result do_begin(struct store *st, int64_t id, bool is_retry, struct err *err)
{
    struct task_record t = sample_task(1, id, "{\"o\": 2}");
    t.is_retry = is_retry;
    return ops->task_begin(st, &t, err);
}

static enum store_result do_commit(struct store *st, int64_t id, const struct file_marks *marks,
                                   struct err *err)
{
    struct task_record t = sample_task(1, id, id == 1 ? "{\"o\": 1}" : "{\"o\": 2}");
    t.is_retry = id != 1;
    t.finish_ms = 3;
    return ops->task_commit(st, &t, id == 1 ? 0 : 1, marks, err);
}

static enum store_result do_task_aside(struct store *st, int64_t id, const char *key,
                                       const char *offset_after, struct err *err)
{
    struct bad_file bad = sample_bad(key, "again");
    struct file_mark m = sample_mark(key, id);
    const struct file_marks marks = {.marks = &m, .n_marks = 1};
    const struct task_aside aside = {
        .end = {.state = TASK_FAILED, .error = "e", .job = {.state = JOB_RUNNING}},
        .offset_after = offset_after,
        .file = &bad,
        .marks = &marks,
    };
    bad.task_id = id;
    m.is_bad = true;
    return ops->task_aside(st, 1, id, &aside, err);
}

static enum store_result do_files_aside(struct store *st, struct err *err)
{
    const struct bad_file bad[] = {sample_bad("k1", "one"), sample_bad("k2", "two")};
    struct file_mark m = sample_mark("k1", 1);
    const struct file_marks marks = {.marks = &m, .n_marks = 1};
    const struct files_aside aside = {.job_id = 1,
                                      .last_task_id = 1,
                                      .offset_after = "{\"o\": 11}",
                                      .files = bad,
                                      .n_files = 2,
                                      .marks = &marks};
    return ops->files_aside(st, &aside, err);
}

static enum store_result do_read(struct store *st, struct err *err)
{
    struct file_mark m = {0};
    int more = -1;
    struct file_reader *r = ops->reader_open(st, err);
    if (r != NULL && ops->reader_ops->begin(r, 1, "b", err)) {
        while ((more = ops->reader_ops->next(r, &m, err)) == 1) {
        }
    }
    ops->reader_ops->close(r);
    return more == 0 ? STORE_OK : STORE_FAIL;
}

/* One call of the scenario, by its number. */
static enum store_result call(struct store *st, int number, struct err *err)
{
    struct file_mark m[] = {sample_mark("a", 1), sample_mark("b", 2), sample_mark("c", 3)};
    char *settled[] = {(char *)"k1"};
    const struct file_marks marks = {.marks = m, .n_marks = 3};
    const struct file_marks retried = {
        .marks = m, .n_marks = 1, .settled = settled, .n_settled = 1};
    switch (number) {
    case 0: return do_commit(st, 1, &marks, err);
    case 1: return do_files_aside(st, err);
    case 2: return ops->file_decide(st, 1, "k1", FILE_RETRY, err);
    case 3: return do_begin(st, 2, true, err);
    case 4: return do_task_aside(st, 2, "k1", NULL, err);
    case 5: return ops->file_decide(st, 1, NULL, FILE_RETRY, err);
    case 6: return do_begin(st, 3, false, err);
    case 7: return do_task_aside(st, 3, "k3", "{\"o\": 2}", err);
    case 8: return do_begin(st, 4, true, err);
    case 9: return do_commit(st, 4, &retried, err);
    case 10: return ops->file_decide(st, 1, "k2", FILE_SKIP, err);
    case 11: return do_read(st, err);
    default: return ops->job_delete(st, 2, err);
    }
}

/* Job 1 with a task under way, job 2 with more files than are removed at once. */
static void make_model(struct fixture *f)
{
    fixture_init(f);
    struct store *st = must_open(f);
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    char sql[256];
    insert_job(f, st, 1, "a");
    insert_job(f, st, 2, "b");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    ops->close(st);
    (void)snprintf(
        sql, sizeof(sql),
        "INSERT INTO file_sets VALUES (1, 2); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < %d) INSERT INTO tracked_files "
        "SELECT 1, CAST(i AS BLOB), i, 1 FROM n; UPDATE jobs SET n_tracked = %d "
        "WHERE id = 2",
        N_DOOMED, N_DOOMED);
    raw(f->path, sql);
}

static struct fixture model; /* made once, copied for every try */

static void copy_file(const char *from, const char *to, const char *tail)
{
    static char bytes[4 << 20];
    char name[128];
    (void)snprintf(name, sizeof(name), "%s%s", from, tail);
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    assert_true(n > 0 && n < sizeof(bytes));
    (void)fclose(file);
    (void)snprintf(name, sizeof(name), "%s%s", to, tail);
    file = fopen(name, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
}

static void prepare(struct fixture *f)
{
    fixture_init(f);
    copy_file(model.path, f->path, "");
    copy_file(model.path, f->path, ".key");
}

/* All that the store tells of its jobs, for comparing. The caller frees it. */
static char *fingerprint(struct store *st)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    look(st, &seen);
    for (size_t i = 0; i < seen.n_jobs; i++) {
        const struct job_record *j = &seen.jobs[i];
        char *files = tracked(st, j->id, NULL);
        (void)fprintf(to, "job %d %s last %d committed %d ok %d failed %d files %d %zu %.99s\n",
                      (int)j->id, j->offset != NULL ? j->offset : "-", (int)j->last_task_id,
                      (int)j->committed_task_id, (int)j->n_succeeded, (int)j->n_failed,
                      (int)j->n_tracked, strlen(files), files);
        free(files);
        for (size_t k = 0; k < seen.n_tasks[i]; k++) {
            const struct task_record *t = &seen.tasks[i][k];
            (void)fprintf(to, "task %d %s %d\n", (int)t->id, task_state_name(t->state),
                          t->is_retry);
        }
        for (size_t k = 0; k < seen.n_bad[i]; k++) {
            const struct bad_file *b = &seen.bad[i][k];
            (void)fprintf(to, "bad %s %s %d %d\n", b->key, b->reason, (int)b->task_id,
                          b->is_retried);
        }
    }
    assert_int_equal(fclose(to), 0);
    seen_fini(&seen);
    return text;
}

/* What a store looks like before each call, and behind the last one. */
static char *fingerprints[N_FINGERPRINTS];

static int take_fingerprints(void **state)
{
    struct fixture f;
    make_model(&model);
    prepare(&f);
    struct store *st = must_open(&f);
    for (int i = 0; i < N_CALLS; i++) {
        fingerprints[i] = fingerprint(st);
        assert_int_equal(call(st, i, &f.err), STORE_OK);
    }
    fingerprints[N_CALLS] = fingerprint(st);
    ops->close(st);
    fixture_fini(&f);
    return 0;
}

static int drop_fingerprints(void **state)
{
    for (int i = 0; i < N_FINGERPRINTS; i++) {
        free(fingerprints[i]);
    }
    fixture_fini(&model);
    return 0;
}

/* The scenario in figures, so that the comparisons compare something. */
static void test_scenario(void **state)
{
    assert_non_null(strstr(fingerprints[0], "job 1 - last 1 committed 0 ok 0 failed 0 files 0 0 "));
    assert_non_null(strstr(fingerprints[0], "job 2 "));
    assert_string_equal(fingerprints[N_CALLS],
                        "job 1 {\"o\": 2} last 4 committed 4 ok 2 failed 2 files 5 24 "
                        "a=1 b=2 c=3 k1=2! k3=3! \n"
                        "task 1 SUCCESS 0\ntask 2 FAILED 1\ntask 3 FAILED 0\ntask 4 SUCCESS 1\n"
                        "bad k3 again 3 0\n");
}

/* The rest of job 2 goes behind other writes, whatever happened before. */
static void expect_swept(struct fixture *f, struct store *st)
{
    const struct job_update u = {.state = JOB_RUNNING};
    int n = 0;
    while (raw_int(f->path, "SELECT count(*) FROM file_sets WHERE job_id IS NULL") > 0) {
        assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
        n++;
        assert_true(n < 30);
    }
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM tracked_files"), 5);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM pragma_integrity_check "
                                      "WHERE integrity_check <> 'ok'"),
                     0);
}

/* A call that fails must succeed when repeated, which it would not had it changed anything. */
static bool try_fault(enum fault kind, int countdown)
{
    struct fixture f;
    prepare(&f);
    struct store *st = must_open(&f);
    arm(kind, countdown);
    for (int i = 0; i < N_CALLS; i++) {
        enum store_result result = call(st, i, &f.err);
        if (result == STORE_FAIL) {
            assert_true(faults.has_fired);
            expect_sentence(&f, "cannot");
            faults.is_armed = false;
            char *now = fingerprint(st);
            assert_string_equal(now, fingerprints[i]);
            free(now);
            result = call(st, i, &f.err);
        }
        assert_int_equal(result, STORE_OK);
    }
    ops->close(st); /* cannot fail, however much fails under it */
    faults.is_armed = false;
    st = must_open(&f);
    char *now = fingerprint(st);
    assert_string_equal(now, fingerprints[N_CALLS]);
    free(now);
    expect_swept(&f, st);
    ops->close(st);
    fixture_fini(&f);
    return faults.has_fired;
}

static void test_everything_may_fail(void **state)
{
    static const int at_least[N_FAULTS] = {
        [FAULT_WRITE] = 60, [FAULT_SYNC] = 10, [FAULT_READ] = 5, [FAULT_MALLOC] = 200};
    for (int kind = FAULT_WRITE; kind < N_FAULTS; kind++) {
        int n = 1;
        while (try_fault((enum fault)kind, n)) {
            n = n + 1 + n / (kind == FAULT_MALLOC ? 15 : 40);
            assert_true(n < 100000);
        }
        assert_true(n > at_least[kind]);
    }
}

/* Makes the calls, one byte to the pipe for each that is durable. Never returns. */
static void call_and_die(struct fixture *f, enum fault kind, int countdown, int fd)
{
    struct store *st = must_open(f);
    faults.is_deadly = true;
    arm(kind, countdown);
    for (int i = 0; i < N_CALLS; i++) {
        if (call(st, i, &f->err) != STORE_OK || write(fd, "x", 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

/* How many calls the child told of; *ret_died: it did not get to the end. */
static int run_child(struct fixture *f, enum fault kind, int countdown, bool *ret_died)
{
    int fds[2];
    int n = 0;
    int status = 0;
    char byte = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        call_and_die(f, kind, countdown, fds[1]);
    }
    (void)close(fds[1]);
    while (read(fds[0], &byte, 1) == 1) {
        n++;
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *ret_died = WIFSIGNALED(status);
    assert_true(*ret_died || WEXITSTATUS(status) == 0);
    return n;
}

static bool try_death(enum fault kind, int countdown)
{
    struct fixture f;
    bool has_died = false;
    prepare(&f);
    int n = run_child(&f, kind, countdown, &has_died);
    struct store *st = must_open(&f);
    char *now = fingerprint(st);
    bool is_known =
        strcmp(now, fingerprints[n]) == 0 || (n < N_CALLS && strcmp(now, fingerprints[n + 1]) == 0);
    if (!is_known) {
        print_error("%d calls were told, the %dth operation was the last:\n%s", n, countdown, now);
    }
    assert_true(is_known);
    free(now);
    bool is_deleted = raw_int(f.path, "SELECT count(*) FROM jobs") == 1;
    if (is_deleted) {
        expect_swept(&f, st);
    }
    ops->close(st);
    fixture_fini(&f);
    return has_died;
}

/* All of the first ones; behind them the removal of many files repeats itself. */
static void sweep_deaths(enum fault kind, int at_least)
{
    int n = 1;
    while (try_death(kind, n)) {
        n += n < 120 ? 1 : 3;
        assert_true(n < 5000);
    }
    assert_true(n > at_least);
}

static void test_death_at_every_write(void **state)
{
    sweep_deaths(FAULT_WRITE, 60);
}

static void test_death_at_every_sync(void **state)
{
    sweep_deaths(FAULT_SYNC, 10);
}

static void test_death_half_way_through_every_write(void **state)
{
    faults.is_torn = true;
    sweep_deaths(FAULT_WRITE, 60);
    faults.is_torn = false;
}

/* A store of version 2 that is opened for the first time: as it was, or of version 3. */
static void test_migration_may_fail(void **state)
{
    for (int kind = FAULT_WRITE; kind < N_FAULTS; kind++) {
        bool has_fired = true;
        for (int n = 1; has_fired; n += kind == FAULT_MALLOC ? 1 + n / 15 : 1) {
            struct fixture f;
            fixture_init(&f);
            make_second_store(f.path);
            arm((enum fault)kind, n);
            struct store *st = open_anyhow(&f);
            has_fired = faults.has_fired;
            faults.is_armed = false;
            look(st, &seen);
            check_second_store(&seen);
            ops->close(st);
            seen_fini(&seen);
            fixture_fini(&f);
            assert_true(n < 9000);
        }
    }
}

static void test_migration_may_be_killed(void **state)
{
    static const enum fault kinds[] = {FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        bool has_died = true;
        for (int n = 1; has_died; n++) {
            struct fixture f;
            int status = 0;
            fixture_init(&f);
            make_second_store(f.path);
            pid_t pid = fork();
            if (pid == 0) {
                faults.is_deadly = true;
                arm(kinds[i], n);
                _exit(ops->open(f.path, "", &f.err) != NULL ? 0 : 1);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            has_died = WIFSIGNALED(status);
            assert_true(has_died || WEXITSTATUS(status) == 0);
            struct store *st = must_open(&f);
            look(st, &seen);
            check_second_store(&seen);
            ops->close(st);
            seen_fini(&seen);
            fixture_fini(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario),
        cmocka_unit_test(test_everything_may_fail),
        cmocka_unit_test(test_death_at_every_write),
        cmocka_unit_test(test_death_at_every_sync),
        cmocka_unit_test(test_death_half_way_through_every_write),
        cmocka_unit_test(test_migration_may_fail),
        cmocka_unit_test(test_migration_may_be_killed),
    };
    install_faults();
    return cmocka_run_group_tests_name("store files faults", tests, take_fingerprints,
                                       drop_fingerprints);
}
