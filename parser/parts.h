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

/*
 * ALTER JOB: with PROPERTIES, an INSERT or both, RESOLVE TASK, RETRY or SKIP of files. Foreign as
 * CREATE JOB is.
 */
enum stmt_verdict alter_parse(struct parse *p, struct stmt *ret);
void alter_fini(struct stmt_alter *alter);

/* PAUSE, RESUME or DROP JOB. */
enum stmt_verdict job_parse_status(struct parse *p, struct stmt *ret);
/* CANCEL TASK. */
enum stmt_verdict job_parse_cancel(struct parse *p, struct stmt *ret);
/* What follows ALTER JOB n RESOLVE, and what follows RETRY or SKIP. job_ref_fini() after failure. */
bool job_parse_resolve(struct parse *p, struct stmt_job_ref *ret);
bool job_parse_files(struct parse *p, struct stmt_job_ref *ret);
void job_ref_fini(struct stmt_job_ref *job);
/* The name as CREATE and ALTER take it. The caller owns *ret. */
bool job_parse_name(struct parse *p, const char *shape, char **ret);
/* WHERE jobName = 'n'. The caller owns *ret. */
bool job_parse_where(struct parse *p, const char *expecting, const char *shape, char **ret);
/*
 * A CREATE or ALTER JOB that we cannot read may still be one for the FE: it is when ON SCHEDULE comes
 * first. What follows DO is a statement of its own and not looked at.
 */
bool job_is_scheduled(const struct parse *p);

/* EXPLAIN, DESCRIBE or DESC: of CREATE JOB, or JOB n. */
enum stmt_verdict show_parse_explain(struct parse *p, struct stmt *ret);
/* SHOW CREATE JOB n. */
enum stmt_verdict show_parse_create(struct parse *p, struct stmt *ret);
/* SHOW JOBS [LIKE 'p'] [WHERE ...], as a query over jobs(). */
enum stmt_verdict show_parse_jobs(struct parse *p, struct stmt *ret);

/*
 * SELECT, WITH or a parenthesis, or what stands around one (INSERT, CREATE TABLE, EXPLAIN): ours when
 * it reads jobs() or tasks() of type insert.
 */
enum stmt_verdict view_parse(struct parse *p, struct stmt_view *ret);
void view_fini(struct stmt_view *view);
/* Could the text call one of these functions? Never wrongly false; touches each byte once. */
bool view_is_candidate(struct span text);

/* INSERT INTO ..., up to the end of the statement. *ret is zeroed; insert_fini() after failure. */
bool insert_parse(struct parse *p, struct stmt_insert *ret);

#endif
