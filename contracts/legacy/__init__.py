"""The legacy sample: a small model of the running 2022 product (generation G1).

The edge exists to move clients off a backend like this, so the sample keeps its difficult habits: every
service words its errors differently, the library ignores case while the other services compare bytes, a
missing header means "trusted caller", and cookies are parsed in an unusual way. The HTTP contract records
its behaviour as G1; the fixtures are neutral.

Reading order: `app` (which service answers a path), `exchange` (request and answer), `gate` (the caller),
then one module for each service: `auth`, `users`, `books`, `files`, `pages`. `wire` returns odd answers for
byte comparisons and is closed unless LEGACY_WIRE=1.
"""
