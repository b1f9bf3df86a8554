#include "base/xmalloc.h"
#include "parser/parts.h"

void alter_fini(struct stmt_alter *alter)
{
    free(alter->name);
    parse_props_fini(&alter->props);
    stmt_insert_fini(&alter->insert);
    *alter = (struct stmt_alter){0};
}
