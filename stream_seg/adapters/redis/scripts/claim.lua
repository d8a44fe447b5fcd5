#!lua flags=allow-oom
-- Take a partition over. KEYS: owner. ARGV: token. Returns the former owner's transactional id.
local former = redis.call('HGET', KEYS[1], 'transactional_id')
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return former or ''
