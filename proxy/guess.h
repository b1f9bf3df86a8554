/*
 * A cheap first look at a statement: could it be one of ours at all? Decides, before the text is
 * complete, whether it is held back for local_accept() or streams through to the FE. Pure.
 *
 * A text is a candidate when its first word may begin one of ours, or it begins with a comment or
 * a parenthesis, and "job" or "task" stands anywhere in it: every statement of ours has one of the
 * two, and few others do, so that ordinary SELECTs are never held back. Errs towards YES.
 *
 * A statement of ours may also follow a foreign one: USE shop; CREATE JOB ... And an INSERT may read
 * jobs(). Only texts of up to GUESS_SCRIPT_MAX_SIZE bytes are looked at for that, so that a bulk
 * INSERT streams through.
 */
#ifndef PROXY_GUESS_H
#define PROXY_GUESS_H

#include <stdbool.h>

#include "base/span.h"

enum { GUESS_SCRIPT_MAX_SIZE = 64 << 10 };

enum guess {
    GUESS_NO,
    GUESS_MORE, /* the text so far does not tell */
    GUESS_YES,
};

/* `text` is the whole statement, or the first part of it when is_whole is false. */
enum guess guess_is_local(struct span text, bool is_whole);
/*
 * The same for a text that grows: what was looked at is not looked at again, or a long text that
 * comes in small pieces would cost the square of its length. `place` is {0} before the first call,
 * and again after any answer but GUESS_MORE.
 */
struct guess_place {
    size_t start; /* of the first word; so many blanks are in front of it */
    size_t seen;  /* bytes */
};
enum guess guess_is_local_on(struct span text, struct guess_place *place, bool is_whole);
/* Does a text begin with KILL? Behind a comment or a parenthesis: perhaps. */
bool guess_is_kill(struct span text);
/*
 * A whole text that guess_is_local() says NO of: may one of ours stand behind its first ';', or is it
 * an INSERT whose query may read jobs()?
 */
bool guess_is_hidden(struct span text);
/*
 * Does the text, or what there is of it, hold a statement that may change what its own user may do:
 * GRANT, REVOKE, SET PASSWORD, or one about users or roles? Of the first GUESS_SCRIPT_MAX_SIZE bytes.
 */
bool guess_changes_rights(struct span text, bool is_whole);

#endif
