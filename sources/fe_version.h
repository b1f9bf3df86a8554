/*
 * The Doris version in @@version_comment, as a number to compare. Pure; any thread.
 */
#ifndef SOURCES_FE_VERSION_H
#define SOURCES_FE_VERSION_H

#include "base/span.h"

/*
 * "Doris version doris-2.1.7-rc03-443e87e203" is 2001, that is major * 1000 + minor; the words
 * before the number may be any (4.0 lets an admin choose them). 0 when there is no number of the
 * form n.n.n, or it is that of a build without a version (0.0.0).
 */
int fe_version_parse(struct span comment);

#endif
