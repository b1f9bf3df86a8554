/*
 * The columns of jobs() and tasks(): names, order and contents of Doris 4.1's jobs("type"="insert")
 * and tasks("type"="insert") (facts: doris-streaming-jobs.md section 2), all of them texts; behind them
 * hidden ones of ours, which `*` does not show, so that tools written for Doris see its own. Pure; any
 * thread.
 */
#ifndef PROXY_VIEWCOLS_H
#define PROXY_VIEWCOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "scheduler/view.h"

struct buf;
struct sqlite3_context;
struct viewtab;

enum view_table { VIEW_JOBS, VIEW_TASKS };
enum { VIEW_TABLES = 2 };

/* Where the keys stand, which rows are found by. */
enum { JOBS_ID, JOBS_NAME };
enum { TASKS_TASK_ID, TASKS_JOB_ID, TASKS_JOB_NAME };

/* A row of ours; task is NULL in jobs(). */
struct view_row {
    const struct viewtab *tab;
    const struct job_view *job;
    const struct task_view *task;
};

/* "jobs" or "tasks" */
const char *viewcols_table(enum view_table table);
size_t viewcols_count(enum view_table table);
const char *viewcols_name(enum view_table table, size_t i);
/* One that holds an upper-case word of Doris's; compared without regard to letter case. */
bool viewcols_is_word(enum view_table table, size_t i);
/* Only shown when it is named. False for what is no column of ours. */
bool viewcols_is_hidden(enum view_table table, size_t i);
/*
 * What a column holds that a row has no value for: '', or \N in tasks(); SQL NULL (as NULL) in a
 * hidden one.
 */
const char *viewcols_absent(enum view_table table, size_t i);
/* Of what name; SIZE_MAX when it is none. */
size_t viewcols_find(enum view_table table, struct span name);
/* The value; it may point into the row, which outlives the query. */
void viewcols_put(struct sqlite3_context *to, enum view_table table, size_t i,
                  const struct view_row *row);

#endif
