#include <string.h>

#include "scheduler/record.h"

/* Both directions of an enum and its name come from one table; order is that of the enum. */
static const char *const job_state_names[] = {"PENDING", "RUNNING", "PAUSED", "STOPPED",
                                              "FINISHED"};
static const char *const task_state_names[] = {"PENDING", "RUNNING", "SUCCESS", "FAILED",
                                               "CANCELED"};
static const char *const fail_code_names[] = {
    "",
    "INTERNAL_ERR",
    "MANUAL_PAUSE_ERR",
    "TOO_MANY_FAILURE_ROWS_ERR",
    "GET_REMOTE_DATA_ERROR",
    "CANNOT_RESUME_ERR",
    "IN_DOUBT",
    "LABEL_TAKEN",
    "STORE_ERR",
};

static bool find_name(const char *const *names, size_t n, const char *name, int *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (int)i;
            return true;
        }
    }
    return false;
}

const char *job_state_name(enum job_state state)
{
    return job_state_names[state];
}

const char *task_state_name(enum task_state state)
{
    return task_state_names[state];
}

const char *fail_code_name(enum fail_code code)
{
    return fail_code_names[code];
}

bool job_state_from_name(const char *name, enum job_state *ret)
{
    int i = 0;
    if (!find_name(job_state_names, ARRAY_SIZE(job_state_names), name, &i)) {
        return false;
    }
    *ret = (enum job_state)i;
    return true;
}

bool task_state_from_name(const char *name, enum task_state *ret)
{
    int i = 0;
    if (!find_name(task_state_names, ARRAY_SIZE(task_state_names), name, &i)) {
        return false;
    }
    *ret = (enum task_state)i;
    return true;
}

bool fail_code_from_name(const char *name, enum fail_code *ret)
{
    int i = 0;
    if (!find_name(fail_code_names, ARRAY_SIZE(fail_code_names), name, &i)) {
        return false;
    }
    *ret = (enum fail_code)i;
    return true;
}

static char *copy_text(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

void job_record_fini(struct job_record *r)
{
    free(r->name);
    free(r->definer);
    free(r->current_db);
    free(r->target_db);
    free(r->target_table);
    free(r->sql);
    free(r->properties);
    free(r->comment);
    free(r->fail_msg);
    free(r->offset);
    *r = (struct job_record){0};
}

void job_record_copy(const struct job_record *from, struct job_record *ret)
{
    *ret = *from; /* the numbers; every text below is replaced by a copy of its own */
    ret->name = copy_text(from->name);
    ret->definer = copy_text(from->definer);
    ret->current_db = copy_text(from->current_db);
    ret->target_db = copy_text(from->target_db);
    ret->target_table = copy_text(from->target_table);
    ret->sql = copy_text(from->sql);
    ret->properties = copy_text(from->properties);
    ret->comment = copy_text(from->comment);
    ret->fail_msg = copy_text(from->fail_msg);
    ret->offset = copy_text(from->offset);
}

void task_record_fini(struct task_record *r)
{
    free(r->label);
    free(r->range);
    free(r->offset_after);
    free(r->running_offset);
    free(r->error);
    free(r->first_error);
    free(r->tracking_url);
    free(r->txn_id);
    *r = (struct task_record){0};
}

void task_record_copy(const struct task_record *from, struct task_record *ret)
{
    *ret = *from; /* the numbers; every text below is replaced by a copy of its own */
    ret->label = copy_text(from->label);
    ret->range = copy_text(from->range);
    ret->offset_after = copy_text(from->offset_after);
    ret->running_offset = copy_text(from->running_offset);
    ret->error = copy_text(from->error);
    ret->first_error = copy_text(from->first_error);
    ret->tracking_url = copy_text(from->tracking_url);
    ret->txn_id = copy_text(from->txn_id);
}
