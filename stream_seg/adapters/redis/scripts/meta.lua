#!lua flags=allow-oom
-- Write the meta hash if there is none, and return what is there then. KEYS: meta. ARGV: field, value, …
if redis.call('EXISTS', KEYS[1]) == 0 and #ARGV > 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return redis.call('HGETALL', KEYS[1])
