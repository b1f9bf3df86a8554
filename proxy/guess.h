/*
 * A cheap first look at a statement: could it be one of ours at all? Decides, before the text is
 * complete, whether it is held back for local_accept() or streams through to the FE. Pure.
 *
 * A text is a candidate when its first word may begin one of ours, or it begins with a comment or
 * a parenthesis, and "job" or "task" stands anywhere in it: every statement of ours has one of the
 * two, and few others do, so that ordinary SELECTs are never held back. Errs towards YES.
 */
#ifndef PROXY_GUESS_H
#define PROXY_GUESS_H

#include <stdbool.h>

#include "base/span.h"

enum guess {
    GUESS_NO,
    GUESS_MORE, /* the text so far does not tell */
    GUESS_YES,
};

/* `text` is the whole statement, or the first part of it when is_whole is false. */
enum guess guess_is_local(struct span text, bool is_whole);

#endif
