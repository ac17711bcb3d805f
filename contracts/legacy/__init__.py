"""The legacy sample: the running 2022 product (generation G1) in small.

The edge exists to move clients off something like this, so the sample keeps the habits that hurt: every
service words its errors differently, the library ignores case while its neighbours compare bytes, a missing
header means "trusted caller", and cookies are read in a way of its own. What it does is written down as G1
in the HTTP contract; the fixtures are neutral.

Reading order: `app` (which service answers a path), `exchange` (request and answer), `gate` (who calls),
then one module for each service: `auth`, `users`, `books`, `files`, `pages`. `wire` gives odd answers for
byte comparisons and is shut unless LEGACY_WIRE=1.
"""
