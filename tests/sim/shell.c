#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "tests/sim/shell.h"

const char *const bug_names[N_BUGS] = {
    "none",
    "committed-is-visible",
    "lost-is-not-sent",
    "unknown-is-absent",
    "new-label-on-retry",
    "new-range-on-retry",
    "intent-not-durable",
    "task-ids-reused",
    "error-is-not-loaded",
    "commit-twice",
    "no-fence-on-close",
    "witness-always-known",
    "commit-on-used",
    "canceled-is-not-sent",
    "hold-is-ignored",
};

static void wrong(struct shell *s, const char *what)
{
    if (s->world->wrong == NULL) {
        s->world->wrong = what;
    }
}

/* --- the store -------------------------------------------------------------------------------- */

/* A write may be refused, and a crash may come right before it or right after it. */
enum write { WRITE_OK, WRITE_FAIL, WRITE_CRASH_BEFORE, WRITE_CRASH_AFTER };

static enum write write_fate(struct shell *s)
{
    if (s->world->is_calm) {
        return WRITE_OK;
    }
    if (s->n_store_failures_left > 0 && world_chance(s->world, 5)) {
        s->n_store_failures_left--;
        return WRITE_FAIL;
    }
    if (s->n_crashes_left > 0 && world_chance(s->world, 8)) {
        s->n_crashes_left--;
        return world_chance(s->world, 50) ? WRITE_CRASH_BEFORE : WRITE_CRASH_AFTER;
    }
    return WRITE_OK;
}

static void put_state(struct shell *s)
{
    s->store.state = s->job.state;
    s->store.fail_code = s->job.fail_code;
    s->store.n_resumes = s->job.n_resumes;
    s->is_held |= s->job.fail_code == FAIL_MANUAL_PAUSE;
}

static void put_intent(struct shell *s)
{
    if (s->store.task != 0) {
        wrong(s, "a task began while another one was open");
    }
    s->store.last_task++;
    s->store.task = s->store.last_task;
    s->store.range = s->planned;
    s->store.intent_ms = world_wall_ms(s->world);
    if (s->planned.first != s->store.offset + 1) {
        wrong(s, "a range does not begin behind the offset");
    }
}

static void put_commit(struct shell *s)
{
    for (int unit = s->store.range.first; unit <= s->store.range.last; unit++) {
        if (s->world->rows[unit] == 0) {
            wrong(s, "the offset moved before the rows were visible");
        }
    }
    if (s->store.task <= s->store.committed_task) {
        wrong(s, "a task id was used twice");
    }
    if (s->store.range.last <= s->store.offset) {
        wrong(s, "the offset went back");
    }
    s->store.offset = s->store.range.last + (s->bug == BUG_COMMIT_TWICE ? 1 : 0);
    s->store.committed_task = s->store.task;
    s->store.committed_ms = world_wall_ms(s->world);
    s->store.task = 0;
}

static void do_write(struct shell *s, enum step_action action)
{
    switch (action) {
    case ACT_STORE_INTENT: put_intent(s); break;
    case ACT_STORE_COMMIT: put_commit(s); break;
    case ACT_STORE_FAILED:
    case ACT_STORE_CANCELED:
        s->store.task = 0;
        put_state(s);
        break;
    case ACT_STORE_BAD:
    case ACT_STORE_ASIDE:
    case ACT_STORE_JOB: put_state(s); break;
    case ACT_NONE:
    case ACT_PLAN:
    case ACT_LOAD:
    case ACT_ASK:
    case ACT_ASK_WITNESS:
    case ACT_FENCE:
    case ACT_CANCEL_RUN:
    case ACT_ARM: assert(!"not a write");
    }
}

static void after_write(struct shell *s, enum step_action action)
{
    if (action == ACT_STORE_INTENT) {
        s->job.task_id = s->store.task;
        s->job.intent_ms = s->store.intent_ms;
    }
    if (action == ACT_STORE_COMMIT) {
        s->job.has_witness = true;
        s->job.witness_ms = s->store.committed_ms;
    }
}

static bool is_write(enum step_action action)
{
    return action == ACT_STORE_INTENT || action == ACT_STORE_COMMIT || action == ACT_STORE_FAILED ||
           action == ACT_STORE_CANCELED || action == ACT_STORE_JOB;
}

/* --- actions ---------------------------------------------------------------------------------- */

static int64_t label_of(const struct shell *s, int64_t task)
{
    return s->bug == BUG_NEW_LABEL_ON_RETRY ? task * 1000 + s->n_loads : task;
}

static void start_load(struct shell *s)
{
    s->n_loads++;
    if (s->bug == BUG_NEW_RANGE_ON_RETRY && s->store.range.last < s->world->n_units) {
        s->store.range.last++;
    }
    s->statement = world_send(s->world, label_of(s, s->store.task), s->store.range);
}

static void feed(struct shell *s, struct step_event event);

static void start(struct shell *s, const struct step_out *out)
{
    switch (out->action) {
    case ACT_LOAD:
        s->run = ACT_LOAD;
        s->is_canceled = false;
        if (s->world->is_down) {
            s->statement = -1; /* not sent */
        } else {
            start_load(s);
        }
        break;
    case ACT_PLAN:
    case ACT_ASK:
    case ACT_ASK_WITNESS:
    case ACT_FENCE:
        s->run = out->action;
        s->is_canceled = false;
        break;
    case ACT_CANCEL_RUN:
        s->is_canceled = true;
        if (s->run == ACT_LOAD && s->statement >= 0) {
            world_kill(s->world, s->statement);
        }
        break;
    case ACT_ARM: s->timer_ms = s->world->now_ms + out->delay_ms; break;
    case ACT_NONE:
    case ACT_STORE_INTENT:
    case ACT_STORE_COMMIT:
    case ACT_STORE_FAILED:
    case ACT_STORE_CANCELED:
    case ACT_STORE_BAD:
    case ACT_STORE_ASIDE:
    case ACT_STORE_JOB: break;
    }
}

static void feed(struct shell *s, struct step_event event)
{
    struct step_out out = {0};
    for (;;) {
        enum step_phase before = s->job.phase;
        out = step(&s->job, &event, &s->config);
        if (!step_check(&s->job)) {
            wrong(s, "an invariant of step_check() is broken");
        }
        if (s->is_held && s->job.state != JOB_PAUSED) {
            wrong(s, "a job that the user paused went on by itself");
        }
        s->n_doubts += s->job.phase == PHASE_DOUBT && before != PHASE_DOUBT;
        if (!is_write(out.action)) {
            break;
        }
        enum write fate = write_fate(s);
        if (fate == WRITE_OK || fate == WRITE_CRASH_AFTER) {
            do_write(s, out.action);
        }
        if (fate == WRITE_CRASH_BEFORE || fate == WRITE_CRASH_AFTER) {
            shell_crash(s);
            return;
        }
        if (fate == WRITE_OK) {
            after_write(s, out.action);
        }
        event = (struct step_event){.kind = EV_STORED,
                                    .now = {world_wall_ms(s->world), s->world->now_ms},
                                    .u.stored = fate == WRITE_OK ? STORED_OK : STORED_FAIL};
    }
    start(s, &out);
}

static struct step_event event_of(const struct shell *s, enum step_event_kind kind)
{
    return (struct step_event){.kind = kind, .now = {world_wall_ms(s->world), s->world->now_ms}};
}

static void begin(struct shell *s)
{
    const struct sim_store *st = &s->store;
    s->job = (struct step_job){
        .state = st->state,
        .fail_code = st->fail_code,
        .n_resumes = st->n_resumes,
        .max_interval_ms = 1000,
        .statement_life_ms = 1860 * 1000,
        .task_id = st->task,
        .intent_ms = st->intent_ms,
        .has_witness = st->committed_task != 0,
        .witness_ms = st->committed_ms,
    };
    s->run = ACT_NONE;
    s->timer_ms = -1;
    feed(s, event_of(s, EV_START));
}

void shell_init(struct shell *s, struct world *w, enum bug bug)
{
    *s = (struct shell){
        .world = w,
        .bug = bug,
        .config =
            {
                .max_resumes = 1000000, /* the budget has its own test */
                .resume_delay_ms = 10000,
                .label_window_ms = 60000,
                .fence_after_ms = 5000,
                .n_tries = 4,
            },
        .n_crashes_left = (int)world_random(w, 6),
        .n_store_failures_left = (int)world_random(w, 4),
        .store = {.state = JOB_PENDING},
    };
    begin(s);
}

void shell_crash(struct shell *s)
{
    s->n_crashes++;
    world_leave(s->world);
    if (s->bug == BUG_INTENT_NOT_DURABLE) {
        s->store.task = 0;
    }
    if (s->bug == BUG_TASK_IDS_REUSED && s->store.task == 0) {
        s->store.last_task = s->store.last_task > 0 ? s->store.last_task - 1 : 0;
    }
    world_advance(s->world, (int64_t)world_random(s->world, 20000)); /* until it is started again */
    begin(s);
}

/* --- ends of runs ----------------------------------------------------------------------------- */

static void end_plan(struct shell *s)
{
    struct step_event event = event_of(s, EV_PLANNED);
    int left = s->world->n_units - s->store.offset;
    if (s->is_canceled) {
        event.kind = EV_PLAN_CANCELED;
    } else if (s->world->is_down) {
        event.kind = EV_NO_FE;
    } else if (!s->world->is_calm && world_chance(s->world, 3)) {
        event.u.plan = PLAN_FAIL;
    } else if (left <= 0) {
        event.u.plan = PLAN_EMPTY;
    } else {
        int n = 1 + (int)world_random(s->world, left < 3 ? (uint64_t)left : 3);
        s->planned = (struct range){s->store.offset + 1, s->store.offset + n};
        event.u.plan = PLAN_RANGE;
    }
    feed(s, event);
}

static enum load_result result_of(const struct shell *s, enum world_answer answer)
{
    switch (answer) {
    case ANSWER_OK: return LOAD_VISIBLE;
    case ANSWER_COMMITTED:
        return s->bug == BUG_COMMITTED_IS_VISIBLE ? LOAD_VISIBLE : LOAD_COMMITTED;
    case ANSWER_USED: return s->bug == BUG_COMMIT_ON_USED ? LOAD_VISIBLE : LOAD_LABEL_USED;
    case ANSWER_ERROR: return LOAD_REFUSED;
    case ANSWER_NOT_YET: break;
    }
    return s->bug == BUG_LOST_IS_NOT_SENT ? LOAD_NOT_SENT : LOAD_LOST;
}

/* False: still running, and the client still waits. */
static bool end_load(struct shell *s)
{
    struct world *w = s->world;
    struct step_event event = event_of(s, EV_LOADED);
    enum world_answer answer = ANSWER_NOT_YET;
    bool is_cut = s->statement >= 0 && (w->is_down || (!w->is_calm && world_chance(w, 3)));
    if (s->statement < 0) {
        event.u.load.result = LOAD_NOT_SENT;
    } else {
        answer = world_answer(w, s->statement);
        if (answer == ANSWER_NOT_YET && !is_cut && !s->is_canceled) {
            const struct statement *st = &w->statements[s->statement];
            is_cut = st->is_orphan || st->begins_ms > w->now_ms + 10000; /* a timeout of ours */
            if (!is_cut) {
                return false;
            }
        }
        /* An error may also come although the rows were committed (B3). */
        bool is_lie = !w->is_calm && answer != ANSWER_NOT_YET && world_chance(w, 3);
        event.u.load.result = is_cut   ? result_of(s, ANSWER_NOT_YET)
                              : is_lie ? LOAD_REFUSED
                                       : result_of(s, answer);
    }
    s->run = ACT_NONE;
    if (s->bug == BUG_CANCELED_IS_NOT_SENT && s->is_canceled) {
        event.u.load.result = LOAD_NOT_SENT;
    }
    if (s->bug == BUG_ERROR_IS_NOT_LOADED && event.u.load.result == LOAD_REFUSED) {
        event.u.load.result = LOAD_NOT_SENT;
    }
    feed(s, event);
    return true;
}

static enum label_state ask(const struct shell *s, int64_t label)
{
    if (!s->world->is_calm && world_chance(s->world, 5)) {
        return LABEL_UNREACHABLE;
    }
    enum label_state state = world_label(s->world, label);
    if (state == LABEL_UNKNOWN && s->bug == BUG_UNKNOWN_IS_ABSENT) {
        return LABEL_ABORTED;
    }
    if (state == LABEL_COMMITTED && s->bug == BUG_COMMITTED_IS_VISIBLE) {
        return LABEL_VISIBLE;
    }
    return state;
}

static bool end_run(struct shell *s)
{
    enum step_action run = s->run;
    struct step_event event = event_of(s, EV_LABEL);
    if (run == ACT_LOAD) {
        return end_load(s);
    }
    s->run = ACT_NONE;
    if (run == ACT_PLAN) {
        end_plan(s);
        return true;
    }
    if (run == ACT_FENCE) {
        if (!s->world->is_calm || world_chance(s->world, 90)) {
            world_fence(s->world, label_of(s, s->store.task));
        }
        feed(s, event_of(s, EV_FENCED));
        return true;
    }
    if (run == ACT_ASK) {
        event.u.label = ask(s, label_of(s, s->store.task));
        if (s->bug == BUG_NO_FENCE_ON_CLOSE) {
            s->job.lost_ms = 0;
        }
    } else {
        event.u.label =
            s->bug == BUG_WITNESS_ALWAYS_KNOWN ? LABEL_VISIBLE : ask(s, s->store.committed_task);
    }
    feed(s, event);
    return true;
}

bool shell_turn(struct shell *s)
{
    if (s->run != ACT_NONE && end_run(s)) {
        return true;
    }
    if (s->timer_ms >= 0 && s->timer_ms <= s->world->now_ms) {
        s->timer_ms = -1;
        feed(s, event_of(s, EV_TIMER));
        return true;
    }
    return false;
}

/* --- the user --------------------------------------------------------------------------------- */

void shell_pause(struct shell *s)
{
    bool is_hold = s->job.state == JOB_PAUSED;
    if (!step_may_pause(&s->job)) {
        return;
    }
    s->n_holds += is_hold;
    if (is_hold && s->bug == BUG_HOLD_IS_IGNORED) {
        s->is_held = true;
        return;
    }
    feed(s, event_of(s, EV_PAUSE));
}

void shell_resume(struct shell *s)
{
    if (s->job.state == JOB_PAUSED) {
        s->is_held = false;
        feed(s, event_of(s, EV_RESUME));
    }
}

void shell_cancel(struct shell *s)
{
    bool is_active = s->job.state == JOB_PENDING || s->job.state == JOB_RUNNING;
    if (is_active && s->job.task_id != 0) {
        s->n_cancels++;
        feed(s, event_of(s, EV_CANCEL));
    }
}

void shell_resolve(struct shell *s)
{
    struct step_event event = event_of(s, EV_RESOLVE);
    if (s->job.phase != PHASE_DOUBT || world_is_running(s->world, s->store.task)) {
        return;
    }
    event.u.is_committed = world_has_rows(s->world, s->store.range);
    feed(s, event);
}
