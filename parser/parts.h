/*
 * The parsers of single statements, which stmt_parse() chooses from. Each gets the statement with
 * its first token in hand and leaves nothing behind unless it returns STMT_OURS. Private to parser/.
 */
#ifndef PARSER_PARTS_H
#define PARSER_PARTS_H

#include "parser/parse.h"

/* CREATE JOB ...: foreign when it is ON SCHEDULE or FROM ... TO DATABASE. */
enum stmt_verdict create_parse(struct parse *p, struct stmt_create *ret);
void create_fini(struct stmt_create *create);

/* ALTER JOB with PROPERTIES, an INSERT or both. */
void alter_fini(struct stmt_alter *alter);

/* PAUSE, RESUME or DROP JOB. */
enum stmt_verdict job_parse_status(struct parse *p, struct stmt *ret);
/* ALTER JOB: ours when it says RESOLVE TASK. */
enum stmt_verdict job_parse_alter(struct parse *p, struct stmt_job_ref *ret);

/* SELECT, WITH or a parenthesis: ours when it reads jobs() or tasks() of type insert. */
enum stmt_verdict view_parse(struct parse *p, struct stmt_view *ret);
/* Could the text call one of these functions? Never wrongly false; touches each byte once. */
bool view_is_candidate(struct span text);

/* INSERT INTO ..., up to the end of the statement. *ret is zeroed; insert_fini() after failure. */
bool insert_parse(struct parse *p, struct stmt_insert *ret);

#endif
