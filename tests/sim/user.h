/* What users do: statements to an owner, which may be one that was taken over without knowing. */
#ifndef TESTS_SIM_USER_H
#define TESTS_SIM_USER_H

#include "tests/sim/owner.h"

void user_pause(struct owner *o); /* also a job that an error has PAUSED */
void user_resume(struct owner *o);
void user_cancel(struct owner *o); /* CANCEL TASK */
/* Looks into the table and decides; only when no statement of the task can run any more. */
void user_resolve(struct owner *o);
/* ALTER JOB: the offset further on, the guarantee, what becomes of bad files. */
void user_alter(struct owner *o);
/* ALTER JOB n RETRY FILE | SKIP FILE. */
void user_decide(struct owner *o, int unit, enum bad decision);
/* One of them for a file that is set aside; mends it first, or not. */
void user_decide_any(struct owner *o);
/* DROP JOB, and CREATE JOB with its name when that is gone. */
void user_drop(struct owner *o);
void user_create(struct owner *o);
/* Does whatever is needed for the job to get through: mends files, decides, resumes. */
void user_help(struct owner *o);

#endif
