-- Every definition of a database, one row each: kind, name, definition. Objects of extensions come with their extension,
-- and owners and privileges are left out: they are not moved. The session has an empty search path, so each name is
-- written with its schema.
WITH own AS (
    SELECT n.oid, n.nspname FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
), relation AS (
    SELECT c.*, format('%I.%I', o.nspname, c.relname) AS name FROM pg_class c JOIN own o ON o.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), type AS (
    SELECT t.*, format('%I.%I', o.nspname, t.typname) AS name FROM pg_type t JOIN own o ON o.oid = t.typnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
)
SELECT 'schema' AS kind, nspname::text AS name, '' AS definition FROM own
UNION ALL
SELECT 'extension', extname::text, '' FROM pg_extension
UNION ALL
SELECT 'type', name, format('enum (%s)', (
        SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = type.oid))
    FROM type WHERE typtype = 'e'
UNION ALL
SELECT 'type', name, format('domain %s not null %s default %s collation %s',
        format_type(typbasetype, typtypmod), typnotnull, coalesce(typdefault, '-'), typcollation::regcollation)
    FROM type WHERE typtype = 'd'
UNION ALL
SELECT 'type', name, format('range of %s', r.rngsubtype::regtype) FROM type JOIN pg_range r ON r.rngtypid = type.oid
    WHERE typtype = 'r'
UNION ALL
SELECT 'table', name, format('kind %s persistence %s options %s row security %s %s partition key %s bound %s parents %s replica identity %s populated %s',
        relkind, relpersistence, coalesce(reloptions::text, '-'), relrowsecurity, relforcerowsecurity,
        coalesce(pg_get_partkeydef(oid), '-'), coalesce(pg_get_expr(relpartbound, oid), '-'),
        coalesce((SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = relation.oid), '-'),
        relreplident, relispopulated)
    FROM relation WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
UNION ALL
-- The order of the columns, without the gaps that dropped columns leave.
SELECT 'column', format('%s.%I', r.name, a.attname),
        format('%s. %s%s default %s identity %s generated %s collation %s',
            row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, coalesce(pg_get_expr(d.adbin, d.adrelid), '-'),
            coalesce(nullif(a.attidentity::text, ''), '-'), coalesce(nullif(a.attgenerated::text, ''), '-'),
            CASE WHEN a.attcollation = 0 THEN '-' ELSE a.attcollation::regcollation::text END)
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
UNION ALL
SELECT 'constraint', format('%s.%I', coalesce(r.name, t.name), c.conname), pg_get_constraintdef(c.oid)
    FROM pg_constraint c LEFT JOIN relation r ON r.oid = c.conrelid LEFT JOIN type t ON t.oid = c.contypid
    WHERE (r.oid IS NOT NULL OR t.oid IS NOT NULL) AND c.contype <> 'n'
UNION ALL
SELECT 'index', r.name, format('%s%s%s', pg_get_indexdef(i.indexrelid),
        CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END, CASE WHEN i.indisclustered THEN ' CLUSTERED' ELSE '' END)
    FROM pg_index i JOIN relation r ON r.oid = i.indexrelid
UNION ALL
SELECT 'sequence', r.name, format('%s start %s increment %s from %s to %s cache %s cycle %s owned by %s',
        s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
        coalesce((SELECT format('%s.%I', d.refobjid::regclass, a.attname)
            FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype IN ('a', 'i') LIMIT 1), '-'))
    FROM pg_sequence s JOIN relation r ON r.oid = s.seqrelid
UNION ALL
SELECT 'view', name, pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'function', p.oid::regprocedure::text,
        CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid)
             -- PostgreSQL writes no definition of an aggregate, so its row is read. Functions and types have other numbers on
             -- each server, but for regproc and regtype, which become names.
             WHEN a.aggfnoid IS NOT NULL THEN format('aggregate of %s returns %s: %s, initial values %s and %s, sorted by %s',
                 pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
                 (SELECT string_agg(format('%s %s', key, value), ', ' ORDER BY key)
                  FROM jsonb_each_text((to_jsonb(a)
                      || jsonb_build_object('aggtranstype', a.aggtranstype::regtype, 'aggmtranstype', a.aggmtranstype::regtype))
                      - '{aggfnoid,aggsortop,agginitval,aggminitval}'::text[])),
                 coalesce(quote_literal(a.agginitval), '-'), coalesce(quote_literal(a.aggminitval), '-'),
                 a.aggsortop::regoperator)
             ELSE p.prokind::text END
    FROM pg_proc p JOIN own o ON o.oid = p.pronamespace LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'trigger', format('%s.%I', r.name, t.tgname), format('%s enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
    FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', format('%s.%I', r.name, w.rulename), pg_get_ruledef(w.oid)
    FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', format('%s.%I', r.name, p.polname), format('%s %s to %s using %s check %s', p.polcmd, p.polpermissive,
        (SELECT string_agg(CASE WHEN role = 0 THEN 'public' ELSE role::regrole::text END, ', ' ORDER BY role::regrole::text)
            FROM unnest(p.polroles) AS role),
        coalesce(pg_get_expr(p.polqual, p.polrelid), '-'), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '-'))
    FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
UNION ALL
SELECT 'statistics', format('%I.%I', o.nspname, s.stxname), pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN own o ON o.oid = s.stxnamespace
UNION ALL
SELECT 'comment', format('%s%s', r.name, coalesce('.' || quote_ident(a.attname), '')), d.description
    FROM pg_description d JOIN relation r ON d.classoid = 'pg_class'::regclass AND d.objoid = r.oid
    LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.objsubid AND d.objsubid > 0
UNION ALL
-- Of everything else that a user made: functions, types, constraints, triggers, policies and so on.
SELECT 'comment', format('%s %s', i.type, i.identity), d.description
    FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
    WHERE d.classoid NOT IN ('pg_class'::regclass, 'pg_extension'::regclass) AND d.objoid >= 16384
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
