/*
 * Statements that are ours: every field of the result, the SQL of jobs() and tasks() queries (which
 * SQLite must accept).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"

static void parse_ours(const char *sql, struct stmt *ret)
{
    struct err err = {0};
    enum stmt_verdict verdict = stmt_parse(span_of(sql), ret, &err);
    if (verdict != STMT_OURS) {
        fail_msg("verdict %d for %s: %s", (int)verdict, sql, err.msg);
    }
    assert_false(err_is_set(&err));
}

/* The parts of a CREATE JOB as one text, every offset used to cut what it is meant to cut. */
static void describe_props(const struct stmt_props *props, const struct span *text, struct buf *out)
{
    for (size_t i = 0; i < props->n; i++) {
        const struct stmt_prop *p = &props->items[i];
        buf_printf(out, " %s=%s", p->key, p->value);
        if (text != NULL) {
            assert_true(p->value_at < p->value_end && p->value_end <= text->n);
            struct span literal = {text->p + p->value_at, p->value_end - p->value_at};
            buf_printf(out, "(%.*s)", SPAN_ARG(literal));
        }
    }
}

static void describe_insert(const struct stmt_insert *insert, struct buf *out)
{
    const char *catalog = insert->catalog != NULL ? insert->catalog : "-";
    const char *db = insert->db != NULL ? insert->db : "-";
    assert_true(insert->label_at <= insert->label_end && insert->label_end <= insert->text.n);
    struct span before = {insert->text.p, insert->label_at};
    struct span label = {insert->text.p + insert->label_at, insert->label_end - insert->label_at};
    buf_printf(out, "%s|%s|%s / %.*s[%.*s] / %s", catalog, db, insert->table, SPAN_ARG(before),
               SPAN_ARG(label), insert->tvf);
    describe_props(&insert->tvf_props, &insert->text, out);
}

static void describe_create(const struct stmt_create *create, struct buf *out)
{
    buf_printf(out, "%s%s", create->name, create->if_not_exists ? "?" : "");
    describe_props(&create->props, NULL, out);
    buf_printf(out, " / %s / ", create->comment != NULL ? create->comment : "-");
    describe_insert(&create->insert, out);
}

static const struct {
    const char *sql;
    const char *parts; /* name[?] props / comment / catalog|db|table / text up to the label[label] /
                          function props(literals) */
    const char *insert;
} CREATES[] = {
    {"CREATE JOB my_job Properties() ON STREAMING DO INSERT INTO db.tbl select * from tvf()",
     "my_job / - / -|db|tbl / INSERT INTO db.tbl[] / tvf",
     "INSERT INTO db.tbl select * from tvf()"},
    {"create job db1.n properties(\"max_interval\"=\"5\", \"s3.x\" = 3.5) on streaming comment "
     "'it''s' do insert into t select * from s3('uri'='s3://b/*.csv', \"k\" = "
     "\"a\\\"b\",format=csv, n = - 5, m=`q``x`) ;  -- done",
     "n max_interval=5 s3.x=3.5 / it's / -|-|t / insert into t[] / s3 "
     "uri=s3://b/*.csv('s3://b/*.csv') k=a\"b(\"a\\\"b\") format=csv(csv) n=-5(- 5) m=q`x(`q``x`)",
     "insert into t select * from s3('uri'='s3://b/*.csv', \"k\" = \"a\\\"b\",format=csv, n = - 5, "
     "m=`q``x`)"},
    {"CREATE JOB IF NOT EXISTS `a b` ON STREAMING PROPERTIES('offset'='{\"fileName\":\"x\"}') "
     "COMMENT \"c\" DO /* x */ WITH x AS (SELECT * FROM S3(\"uri\"=\"u\" )) INSERT INTO ctl.db.`t` "
     "PARTITION (p1, p2) WITH LABEL `l-1` (a,b) [shuffle] SELECT * FROM x JOIN y ON x.a=y.a",
     "a b? offset={\"fileName\":\"x\"} / c / ctl|db|t / WITH x AS (SELECT * FROM S3(\"uri\"=\"u\" "
     ")) INSERT INTO ctl.db.`t` PARTITION (p1, p2) [WITH LABEL `l-1`] / s3 uri=u(\"u\")",
     "WITH x AS (SELECT * FROM S3(\"uri\"=\"u\" )) INSERT INTO ctl.db.`t` PARTITION (p1, p2) WITH "
     "LABEL `l-1` (a,b) [shuffle] SELECT * FROM x JOIN y ON x.a=y.a"},
    {"CREATE JOB j PROPERTIES(\"a\"=\"1\") COMMENT 'c' ON STREAMING PROPERTIES(\"b\"=\"2\") DO "
     "INSERT INTO t(a) (SELECT EXTRACT(YEAR FROM a) FROM t1, (S3(\"uri\"=\"u\") s JOIN [shuffle] "
     "t3 ON a IN (SELECT 1 FROM z)))",
     "j a=1 b=2 / c / -|-|t / INSERT INTO t[] / s3 uri=u(\"u\")",
     "INSERT INTO t(a) (SELECT EXTRACT(YEAR FROM a) FROM t1, (S3(\"uri\"=\"u\") s JOIN [shuffle] "
     "t3 ON a IN (SELECT 1 FROM z)))"},
    {"CREATE JOB comment COMMENT 'c' ON STREAMING DO INSERT INTO t TEMPORARY PARTITION p WITH "
     "label AS (SELECT 1) SELECT * FROM label, HDFS(\"u\"=\"v\")",
     "comment / c / -|-|t / INSERT INTO t TEMPORARY PARTITION p[] / hdfs u=v(\"v\")",
     "INSERT INTO t TEMPORARY PARTITION p WITH label AS (SELECT 1) SELECT * FROM label, "
     "HDFS(\"u\"=\"v\")"},
    {"CREATE JOB do ON STREAMING DO INSERT INTO t PARTITIONS (*)WITH/**/LABEL/**/l(a)SELECT "
     "trim(both 'x' FROM a) IS NOT DISTINCT FROM b FROM S3(\"uri\"=\"u\")a(x,y) WHERE c = \")\" -- "
     "end",
     "do / - / -|-|t / INSERT INTO t PARTITIONS (*)[WITH/**/LABEL/**/l] / s3 uri=u(\"u\")",
     "INSERT INTO t PARTITIONS (*)WITH/**/LABEL/**/l(a)SELECT trim(both 'x' FROM a) IS NOT "
     "DISTINCT FROM b FROM S3(\"uri\"=\"u\")a(x,y) WHERE c = \")\""},
    {"CREATE JOB schedule ON STREAMING DO INSERT INTO t SELECT a FROM t1 UNION ALL (SELECT b FROM "
     "t2 LATERAL VIEW explode(c) v AS x, y) UNION SELECT * FROM ((S3(\"uri\"=\"u\"))) ORDER BY 1, "
     "2 LIMIT 5",
     "schedule / - / -|-|t / INSERT INTO t[] / s3 uri=u(\"u\")",
     "INSERT INTO t SELECT a FROM t1 UNION ALL (SELECT b FROM t2 LATERAL VIEW explode(c) v AS x, "
     "y) UNION SELECT * FROM ((S3(\"uri\"=\"u\"))) ORDER BY 1, 2 LIMIT 5"},
    {"CREATE JOB 1j ON STREAMING DO INSERT INTO `d``b`.t SELECT f(a, (SELECT max(x) FROM "
     "`S3`(\"uri\"=\"u\"))) FROM t1 LEFT JOIN t2 USING (a), t3",
     "1j / - / -|d`b|t / INSERT INTO `d``b`.t[] / s3 uri=u(\"u\")",
     "INSERT INTO `d``b`.t SELECT f(a, (SELECT max(x) FROM `S3`(\"uri\"=\"u\"))) FROM t1 LEFT JOIN "
     "t2 USING (a), t3"},
    {"\n# x\nCREATE -- y\nJOB	j\nON STREAMING\nDO\nINSERT INTO t\nSELECT *\nFROM s3\n(\n\"uri\" "
     "= \"u\" -- z\n)\n;\n",
     "j / - / -|-|t / INSERT INTO t[] / s3 uri=u(\"u\")",
     "INSERT INTO t\nSELECT *\nFROM s3\n(\n\"uri\" = \"u\" -- z\n)"},
    {"CREATE JOB j ON STREAMING DO WITH a AS (SELECT 1), b (x) AS (SELECT * FROM a) INSERT INTO t "
     "WITH LABEL as1 WITH c AS (SELECT * FROM S3()) SELECT * FROM c",
     "j / - / -|-|t / WITH a AS (SELECT 1), b (x) AS (SELECT * FROM a) INSERT INTO t [WITH LABEL "
     "as1] / s3",
     "WITH a AS (SELECT 1), b (x) AS (SELECT * FROM a) INSERT INTO t WITH LABEL as1 WITH c AS "
     "(SELECT * FROM S3()) SELECT * FROM c"},
};

static void test_create(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CREATES); i++) {
        struct stmt s;
        _cleanup_buf_ struct buf out = buf_with_max(4096);
        parse_ours(CREATES[i].sql, &s);
        assert_int_equal(s.kind, STMT_CREATE_JOB);
        describe_create(&s.u.create, &out);
        assert_string_equal(buf_text(&out), CREATES[i].parts);
        assert_true(span_eq_text(s.u.create.insert.text, CREATES[i].insert));
        stmt_fini(&s);
    }
}

/* What the store hands back reads as it did in the CREATE. */
static void test_insert_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CREATES); i++) {
        struct err err = {0};
        struct stmt_insert insert;
        _cleanup_buf_ struct buf out = buf_with_max(4096);
        assert_true(stmt_parse_insert(span_of(CREATES[i].insert), &insert, &err));
        describe_insert(&insert, &out);
        const char *expected = strstr(strstr(CREATES[i].parts, " / ") + 3, " / ") + 3;
        assert_string_equal(buf_text(&out), expected);
        stmt_insert_fini(&insert);
    }
}

static void test_insert_alone(void **state)
{
    (void)state;
    struct err err = {0};
    struct stmt_insert insert;
    struct span text = SPAN_LIT(" /* a */ INSERT INTO t SELECT * FROM S3() ; -- b");
    assert_true(stmt_parse_insert(text, &insert, &err));
    assert_true(span_eq_text(insert.text, "INSERT INTO t SELECT * FROM S3()"));
    assert_int_equal(insert.label_at, strlen("INSERT INTO t"));
    stmt_insert_fini(&insert);
    stmt_insert_fini(&insert); /* an ended one is a valid empty object */
    static const char *const WRONG[] = {
        "",
        " -- x",
        "SELECT 1",
        "INSERT INTO t SELECT 1",
        "INSERT INTO t SELECT * FROM S3(); x",
        "CREATE JOB j ON STREAMING DO INSERT INTO t SELECT * FROM S3()",
    };
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        err = (struct err){0};
        assert_false(stmt_parse_insert(span_of(WRONG[i]), &insert, &err));
        assert_int_equal(err.code, ERR_UNKNOWN);
        assert_true(span_starts_with(span_of(err.msg), "errCode = 2, detailMessage = "));
    }
    assert_false(stmt_parse_insert((struct span){NULL, 0}, &insert, &err));
}

/* What else the query reads: nobody may read by a job what he may not read himself. */
static const struct {
    const char *query; /* behind INSERT INTO t, or a WITH before it up to the '|' */
    const char *tables;
} READS[] = {
    {"SELECT * FROM S3() s", ""},
    {"SELECT * FROM S3() s JOIN dim d ON s.a = d.a", "dim"},
    {"SELECT * FROM d.a, `d`.`a`, `c``c`.d.b, S3()", "d.a c`c.d.b"},
    {"SELECT (SELECT MAX(x) FROM q) FROM S3() WHERE a IN (SELECT b FROM (r)) ", "q r"},
    {"SELECT EXTRACT(DAY FROM a), TRIM(b FROM c), d IS DISTINCT FROM e FROM S3()", ""},
    {"WITH a AS (SELECT * FROM a), b AS (SELECT * FROM a) SELECT * FROM S3(), a, b", "a"},
    {"WITH a AS (SELECT 1) | SELECT * FROM S3(), a, b", "b"},
    {"WITH a AS (SELECT * FROM S3()) | SELECT * FROM a UNION SELECT * FROM A", "A"},
    {"SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a, S3()", "a"},
    {"SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM (SELECT * FROM a) y) x, S3()", ""},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, y WHERE 1", ""},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, y", ""},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, d.y", "d.y"},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, y z", "y"},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, y AS z, w", "y w"},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x, (SELECT * FROM y) z", "y"},
    {"SELECT * FROM S3() LATERAL VIEW f(a) v AS x JOIN y, z", "y z"},
    {"SELECT * FROM S3() window, a", "a"},
    {"SELECT * FROM S3() QUALIFY, a", "a"},
    {"SELECT * FROM S3() MINUS SELECT a, b FROM c", "c"},
    {"SELECT * FROM S3() ORDER BY a, b LIMIT 1, 2", ""},
    {"SELECT /*+ SET_VAR(a = 'b') */ * FROM S3()", ""},
    {"/* it's */ SELECT 1 -- don't, /* \r\n # it's \\ \n FROM /**/ S3 /* * / ** */ ()", ""},
};

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(READS); i++) {
        struct err err = {0};
        struct stmt_insert insert;
        _cleanup_buf_ struct buf text = buf_with_max(4096);
        _cleanup_buf_ struct buf out = buf_with_max(4096);
        const char *bar = strchr(READS[i].query, '|');
        size_t n_with = bar != NULL ? (size_t)(bar - READS[i].query) : 0;
        buf_printf(&text, "%.*s INSERT INTO t %s", (int)n_with, READS[i].query,
                   READS[i].query + n_with + (bar != NULL));
        if (!stmt_parse_insert(buf_span(&text), &insert, &err)) {
            fail_msg("%s: %s", buf_text(&text), err.msg);
        }
        for (size_t k = 0; k < insert.n_tables; k++) {
            const struct stmt_table *t = &insert.tables[k];
            buf_printf(&out, "%s%s%s%s%s%s", k > 0 ? " " : "", t->catalog != NULL ? t->catalog : "",
                       t->catalog != NULL ? "." : "", t->db != NULL ? t->db : "",
                       t->db != NULL ? "." : "", t->table);
        }
        assert_string_equal(buf_text(&out), READS[i].tables);
        stmt_insert_fini(&insert);
    }
}

/* What is a comment to us must not be code to some Doris: it ends elsewhere there. */
static void test_comments(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "SELECT /*+ SET_VAR(a='*/ ', b=' */ * FROM secret, S3() -- ')*/",
        "SELECT /*+ a \" */ 1 FROM S3() s WHERE a = \" */ x\"",
        "SELECT /*+ -- */ * FROM S3()\n, x -- */",
        "SELECT /* a */ /*+ ` */ 1 FROM S3() s WHERE a = ` */ x`",
        "SELECT /* + ' */ 1 FROM S3() s WHERE a = ' */ x'",
        "SELECT * FROM /* /* */ secret x, -- */\n S3()",
        "SELECT * FROM -- \\\n secret x,\n S3()",
        "SELECT * FROM # \\\n secret x,\n S3()",
    };
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        struct err err = {0};
        struct stmt_insert insert;
        _cleanup_free_ char *text = xasprintf("INSERT INTO t %s", WRONG[i]);
        assert_false(stmt_parse_insert(span_of(text), &insert, &err));
        if (strstr(err.msg, "a comment within a comment") == NULL) {
            fail_msg("%s: %s", text, err.msg);
        }
    }
}

static void test_files(void **state)
{
    static const struct {
        const char *sql;
        const char *file; /* NULL: all */
        bool is_skip;
    } cases[] = {
        {"ALTER JOB n RETRY FILE 'in/a b.csv'", "in/a b.csv", false},
        {"alter job for db.`n` skip file \"it's\";", "it's", true},
        {"ALTER JOB n RETRY ALL FILES", NULL, false},
        {"ALTER JOB n SKIP ALL FILES -- x", NULL, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stmt s;
        parse_ours(cases[i].sql, &s);
        assert_int_equal(s.kind, STMT_DECIDE_FILE);
        assert_string_equal(s.u.job.name, "n");
        assert_int_equal(s.u.job.is_skip, cases[i].is_skip);
        assert_int_equal(s.u.job.file == NULL, cases[i].file == NULL);
        if (cases[i].file != NULL) {
            assert_string_equal(s.u.job.file, cases[i].file);
        }
        stmt_fini(&s);
    }
}

static const struct {
    const char *sql;
    enum stmt_kind kind;
    const char *name;
    bool if_exists;
    int64_t task_id;
    bool is_committed;
} JOBS[] = {
    {"PAUSE JOB WHERE jobName = 'n'", STMT_PAUSE_JOB, "n", false, 0, false},
    {"pause job where JOBNAME=\"n;x\" ; ", STMT_PAUSE_JOB, "n;x", false, 0, false},
    {"Resume/**/Job Where `jobName` == 'it''s'", STMT_RESUME_JOB, "it's", false, 0, false},
    {"RESUME JOB WHERE jobname='\xe4\xbd\x9c'", STMT_RESUME_JOB, "\xe4\xbd\x9c", false, 0, false},
    {"DROP JOB WHERE jobName = 'n'", STMT_DROP_JOB, "n", false, 0, false},
    {"DROP JOB IF EXISTS WHERE jobName = 'n' -- x", STMT_DROP_JOB, "n", true, 0, false},
    {"-- x\nDROP JOB WHERE jobName = R'a\\b'", STMT_DROP_JOB, "a\\b", false, 0, false},
    {"ALTER JOB n RESOLVE TASK 7 AS COMMITTED", STMT_RESOLVE_TASK, "n", false, 7, true},
    {"alter job db.`n` resolve task 9223372036854775807 as aborted;", STMT_RESOLVE_TASK, "n", false,
     INT64_MAX, false},
};

static void test_jobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(JOBS); i++) {
        struct stmt s;
        parse_ours(JOBS[i].sql, &s);
        assert_int_equal(s.kind, JOBS[i].kind);
        assert_string_equal(s.u.job.name, JOBS[i].name);
        assert_int_equal(s.u.job.if_exists, JOBS[i].if_exists);
        assert_int_equal(s.u.job.task_id, JOBS[i].task_id);
        assert_int_equal(s.u.job.is_committed, JOBS[i].is_committed);
        stmt_fini(&s);
    }
}

/* C clients may send the NUL; and the text ends where the span does. */
static void test_ends(void **state)
{
    (void)state;
    struct stmt s;
    struct err err = {0};
    static const char TEXT[] = "PAUSE JOB WHERE jobName = 'n'";
    assert_int_equal(stmt_parse((struct span){TEXT, sizeof(TEXT)}, &s, &err), STMT_OURS);
    stmt_fini(&s);
    assert_int_equal(stmt_parse((struct span){TEXT, sizeof(TEXT) - 2}, &s, &err), STMT_BAD);
    assert_int_equal(stmt_parse((struct span){TEXT, 9}, &s, &err), STMT_BAD);
    assert_int_equal(stmt_parse((struct span){TEXT, 8}, &s, &err), STMT_FOREIGN);
}

static const struct {
    const char *sql;
    const char *rewritten;
    const char *uses; /* j, t or both */
    bool runs;        /* SQLite knows everything in it */
} VIEWS[] = {
    {"select * from jobs(\"type\"=\"insert\")", "select * from jobs", "j", true},
    {"SELECT * FROM Jobs('TYPE' = 'Insert');", "SELECT * FROM jobs", "j", true},
    {"select * from job(type=insert)", "select * from jobs AS job", "j", true},
    {"select * from job(\"type\"=\"insert\") j", "select * from jobs j", "j", true},
    {"select * from job(\"type\"=\"insert\") as j where j.Name = 'a'",
     "select * from jobs as j where j.Name = 'a'", "j", true},
    {"select job.Name from job(\"type\"=\"insert\") where 1 = 1",
     "select job.Name from jobs AS job where 1 = 1", "j", true},
    {"select * from tasks(`type`=`insert`) -- c", "select * from tasks", "t", true},
    {"select * from `tasks`(\"type\"=\"insert\")", "select * from tasks", "t", true},
    {"select * from jobs (\"type\"=\"insert\")", "select * from jobs", "j", true},
    {"select * from jobs/* c */(\"type\"=\"insert\")", "select * from jobs", "j", true},
    {"/* lead */ select /*+ SET_VAR(a=1) */ Name from jobs(\"type\"=\"insert\")",
     "select Name from jobs", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where ExecuteType = streaming",
     "select * from jobs where ExecuteType = \"streaming\"", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where ExecuteType=\"STREAMING\"and Name='x'",
     "select * from jobs where ExecuteType='STREAMING' and Name='x'", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Name = 'it''s' or Name = 'a\\'b' or Name = "
     "\"q\\\"q'\"",
     "select * from jobs where Name = 'it''s' or Name = 'a''b' or Name = 'q\"q'''", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Status in (RUNNING, paused, 'X', lower(Name))",
     "select * from jobs where Status in (\"RUNNING\", \"paused\", 'X', lower(Name))", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Status not in (select Status from "
     "tasks(\"type\"=\"insert\"))",
     "select * from jobs where Status not in (select Status from tasks)", "jt", true},
    {"select * from jobs(\"type\"=\"insert\") where Id between a and b and Name = c",
     "select * from jobs where Id between \"a\" and \"b\" and Name = \"c\"", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Name like 'a\\_b%' and Comment not like \"x%\"",
     "select * from jobs where Name like 'a\\_b%' ESCAPE '\\' and Comment not like 'x%'", "j",
     true},
    {"select * from jobs(\"type\"=\"insert\") where Name like 'a\\_b%' escape '\\\\'",
     "select * from jobs where Name like 'a\\_b%' escape '\\'", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Name rlike abc",
     "select * from jobs where Name REGEXP \"abc\"", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Name <=> null && Id <> x || !(Id = 1)",
     "select * from jobs where Name IS null AND Id <> \"x\" OR NOT (Id = 1)", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Id = null or Id = true or Id = case when 1 "
     "then 2 end",
     "select * from jobs where Id = null or Id = true or Id = case when 1 then 2 end", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Id >= abs(3) and Id != jobs.Name and "
     "CreateTime < current_timestamp",
     "select * from jobs where Id >= abs(3) and Id != jobs.Name and CreateTime < current_timestamp",
     "j", true},
    {"select * from jobs(\"type\"=\"insert\") where `Name` = `Comment` and $x = $y",
     "select * from jobs where `Name` = `Comment` and \"$x\" = \"$y\"", "j", true},
    {"select count(*), 1L, 2.5 from jobs(\"type\"=\"insert\") group by Status having count(*) > 1 "
     "order by 1 desc limit 2, 5",
     "select count(*), 1, 2.5 from jobs group by Status having count(*) > 1 order by 1 desc limit "
     "2, 5",
     "j", true},
    {"select j.Name, t.Status from jobs(\"type\"=\"insert\") j join tasks(\"type\"=\"insert\") t "
     "on j.Id = t.JobId",
     "select j.Name, t.Status from jobs j join tasks t on j.Id = t.JobId", "jt", true},
    {"select * from jobs(\"type\"=\"insert\") a left join (select * from "
     "tasks(\"type\"=\"insert\") x) b using (Id), job(\"type\"=\"insert\") c",
     "select * from jobs a left join (select * from tasks x) b using (Id), jobs c", "jt", true},
    {"select * from (jobs(\"type\"=\"insert\") a join tasks(\"type\"=\"insert\") b on 1 = 1)",
     "select * from (jobs a join tasks b on 1 = 1)", "jt", true},
    {"select (select max(Id) from tasks(\"type\"=\"insert\")) m, extract(year from CreateTime), "
     "trim(both 'x' from Name) from dual",
     "select (select max(Id) from tasks) m, extract(year from CreateTime), trim(both 'x' from "
     "Name)",
     "t", false},
    {"select trim(both 'x' from Name) from jobs(\"type\"=\"insert\") where Name is not distinct "
     "from 'x'",
     "select trim(both 'x' from Name) from jobs where Name is not distinct from 'x'", "j", false},
    {"with a as (select * from jobs(\"type\"=\"insert\")), b (x) as (select Id from a) select * "
     "from a, b",
     "with a as (select * from jobs), b (x) as (select Id from a) select * from a, b", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Id in (with x as (select Id from "
     "tasks(\"type\"=\"insert\")) select * from x)",
     "select * from jobs where Id in (with x as (select Id from tasks) select * from x)", "jt",
     true},
    {"(select * from jobs(\"type\"=\"insert\"))", "SELECT * FROM (select * from jobs)", "j", true},
    {"(select Id from jobs(\"type\"=\"insert\")) union distinct (select Id from "
     "tasks(\"type\"=\"insert\") limit 1) order by 1",
     "SELECT * FROM (select Id from jobs) union SELECT * FROM (select Id from tasks limit 1) order "
     "by 1",
     "jt", true},
    {"select Id from jobs(\"type\"=\"insert\") minus select JobId from tasks(\"type\"=\"insert\")",
     "select Id from jobs EXCEPT select JobId from tasks", "jt", true},
    {"select Name 'n', \"lit\" from jobs(\"type\"=\"insert\") where Name = ? limit ?",
     "select Name 'n', 'lit' from jobs where Name = ? limit ?", "j", true},
    {"select 1 as n from dual where exists (select 1 from jobs(\"type\"=\"insert\"))",
     "select 1 as n where exists (select 1 from jobs)", "j", true},
    {";; select * from jobs(\"type\"=\"insert\") ;;", "select * from jobs", "j", true},
    {"select * from jobs(\"type\"=\"insert\") where Name='a'\"b\"",
     "select * from jobs where Name='a' 'b'", "j", false},
    {"select * from jobs(\"type\"=\"insert\") where Name = 'ab\\\\c'",
     "select * from jobs where Name = 'ab\\c'", "j", true},
};

static void no_regexp(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    (void)values;
    sqlite3_result_int(context, 0);
}

static sqlite3 *open_views(void)
{
    static const char SCHEMA[] =
        "CREATE TABLE jobs(Id, Name, ExecuteType, Status, CreateTime, Comment);"
        "CREATE TABLE tasks(TaskId, JobId, Id, Status);"
        "INSERT INTO jobs VALUES ('1', 'x', 'streaming', 'RUNNING', '2026-01-01', 'x');";
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, SCHEMA, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_create_function(db, "regexp", 2, SQLITE_UTF8, NULL, no_regexp, NULL, NULL),
        SQLITE_OK);
    return db;
}

static void test_views(void **state)
{
    (void)state;
    sqlite3 *db = open_views();
    for (size_t i = 0; i < ARRAY_SIZE(VIEWS); i++) {
        struct stmt s;
        sqlite3_stmt *query = NULL;
        parse_ours(VIEWS[i].sql, &s);
        assert_int_equal(s.kind, STMT_VIEW_QUERY);
        assert_string_equal(s.u.view.sql, VIEWS[i].rewritten);
        assert_int_equal(s.u.view.uses_jobs, strchr(VIEWS[i].uses, 'j') != NULL);
        assert_int_equal(s.u.view.uses_tasks, strchr(VIEWS[i].uses, 't') != NULL);
        int rc = sqlite3_prepare_v2(db, s.u.view.sql, -1, &query, NULL);
        if ((rc == SQLITE_OK) != VIEWS[i].runs) {
            fail_msg("%s: %s", s.u.view.sql, sqlite3_errmsg(db));
        }
        (void)sqlite3_finalize(query); /* NULL is fine */
        stmt_fini(&s);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The proposal's bare word finds its row; a column on the right is a column; a typo is an error. */
static void test_bare_words(void **state)
{
    (void)state;
    static const struct {
        const char *where;
        int n_rows; /* -1: SQLite refuses */
    } ROWS[] = {
        {"ExecuteType = streaming", 1},
        {"ExecuteType = batch", 0},
        {"Name = Comment", 1},
        {"Name = Status", 0},
        {"ExecutType = 'streaming'", -1},
        {"Status in (PAUSED, RUNNING)", 1},
    };
    sqlite3 *db = open_views();
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct stmt s;
        sqlite3_stmt *query = NULL;
        int n_rows = -1;
        _cleanup_free_ char *sql =
            xasprintf("select * from jobs(\"type\"=\"insert\") where %s", ROWS[i].where);
        parse_ours(sql, &s);
        if (sqlite3_prepare_v2(db, s.u.view.sql, -1, &query, NULL) == SQLITE_OK) {
            n_rows = sqlite3_step(query) == SQLITE_ROW;
        }
        assert_int_equal(n_rows, ROWS[i].n_rows);
        (void)sqlite3_finalize(query); /* NULL is fine */
        stmt_fini(&s);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Words of the grammar that Doris does not reserve name jobs, tables and properties. */
static void test_names(void **state)
{
    (void)state;
    static const char *const WORDS[] = {
        "after",     "at",        "backup",    "begin",    "bitmap",   "call",     "catalog",
        "columns",   "comment",   "commit",    "config",   "data",     "date",     "day",
        "do",        "dual",      "end",       "ends",     "every",    "events",   "file",
        "filter",    "format",    "frontends", "function", "global",   "hour",     "ignore",
        "immediate", "job",       "jobs",      "json",     "label",    "last",     "lines",
        "local",     "lock",      "map",       "merge",    "minute",   "modify",   "name",
        "never",     "no",        "offset",    "only",     "password", "path",     "pause",
        "plan",      "policy",    "process",   "profile",  "property", "query",    "random",
        "refresh",   "replace",   "resource",  "restore",  "resume",   "rollback", "rollup",
        "routine",   "s3",        "schedule",  "schema",   "second",   "session",  "snapshot",
        "sql",       "start",     "starts",    "stats",    "status",   "stop",     "storage",
        "stream",    "streaming", "string",    "struct",   "tables",   "task",     "tasks",
        "text",      "time",      "truncate",  "type",     "unset",    "user",     "value",
        "variant",   "verbose",   "version",   "view",     "warnings", "week",     "year",
    };
    static const char *const FORMS[] = {
        "CREATE JOB %s PROPERTIES (%s = %s) ON STREAMING DO INSERT INTO %s SELECT * FROM S3()",
        "ALTER JOB FOR %s ON STREAMING DO INSERT INTO %s (%s) SELECT * FROM S3() %s",
        "EXPLAIN CREATE JOB %s COMMENT 'c' ON STREAMING DO INSERT INTO %s.%s SELECT * FROM S3() %s",
        "ALTER JOB %s PROPERTIES (%s = %s, a = %s)",
    };
    for (size_t i = 0; i < ARRAY_SIZE(WORDS) * ARRAY_SIZE(FORMS); i++) {
        struct stmt s;
        const char *word = WORDS[i / ARRAY_SIZE(FORMS)];
        const char *form = FORMS[i % ARRAY_SIZE(FORMS)];
        _cleanup_buf_ struct buf sql = buf_with_max(256);
        for (const char *c = form; *c != '\0'; c++) {
            bool is_word = c[0] == '%' && c[1] == 's';
            buf_append_text(&sql, is_word ? word : "");
            c += is_word;
            buf_append(&sql, c, !is_word);
        }
        parse_ours(buf_text(&sql), &s);
        const char *name = s.kind == STMT_ALTER_JOB ? s.u.alter.name : s.u.create.name;
        assert_string_equal(name, word);
        stmt_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),       cmocka_unit_test(test_insert_again),
        cmocka_unit_test(test_insert_alone), cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_comments),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_views),        cmocka_unit_test(test_bare_words),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
