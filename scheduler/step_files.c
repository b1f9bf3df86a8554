/* The search for files with bad rows: how many files the next plan takes. */
#include "scheduler/step_private.h"

enum { MAX_DOUBLED = 1 << 30 }; /* no plan takes so many */

static void end_search(struct step_job *job)
{
    job->max_files = 0;
    job->n_suspects = 0;
    job->n_failing = 0;
}

static int64_t half_of(int64_t n)
{
    return n > 1 ? n / 2 : 1;
}

static int64_t less(int64_t n, int64_t by)
{
    return n > by ? n - by : 0;
}

void step_files_loaded(struct step_job *job)
{
    job->n_bad = 0;
    if (job->is_retry || job->n_suspects == 0) {
        return; /* a file from behind the offset tells nothing of those before it */
    }
    job->n_suspects = less(job->n_suspects, job->n_files);
    job->n_failing = less(job->n_failing, job->n_files);
    if (job->n_suspects == 0) {
        end_search(job);
    } else if (job->n_failing > 0) {
        job->max_files = half_of(job->n_failing); /* all that are left of them would fail again */
    } else if (job->max_files < MAX_DOUBLED) {
        job->max_files *= 2;
    }
}

/* One file: it was set aside, and passed. */
static void found(struct step_job *job)
{
    if (job->is_retry) {
        return; /* it was bad before; the user asked for it */
    }
    job->n_bad++;
    job->n_suspects = less(job->n_suspects, 1);
    job->n_failing = 0;
    if (job->n_suspects == 0) {
        end_search(job);
    }
}

void step_files_failed(struct step_job *job)
{
    if (job->n_files <= 1) {
        found(job);
        return;
    }
    job->n_failing = job->n_files;
    job->n_suspects = job->n_suspects > job->n_files ? job->n_suspects : job->n_files;
    job->max_files = half_of(job->n_files);
}

bool step_files_check(const struct step_job *job)
{
    return job->n_bad >= 0 && job->n_failing >= 0 && job->n_failing <= job->n_suspects &&
           (job->max_files > 0) == (job->n_suspects > 0);
}
