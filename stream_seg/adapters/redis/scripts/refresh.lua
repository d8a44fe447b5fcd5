#!lua flags=allow-oom
-- Write sizes and shares into the segments' hashes. KEYS: segments. ARGV: prefix of segments' hashes.
refresh_sizes(KEYS[1], ARGV[1])
return 'ok'
