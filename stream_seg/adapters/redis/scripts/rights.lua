#!lua
-- Try every command the scripts use on two keys, and copies of them, that are gone afterwards. KEYS: a public one, a private one.
for _, key in ipairs(KEYS) do
  redis.call('DEL', key)
  redis.call('SET', key, '1')
  redis.call('GET', key)
  redis.call('UNLINK', key)
  redis.call('HSET', key, 'a', '1')
  redis.call('HINCRBY', key, 'a', 1)
  redis.call('HGET', key, 'a')
  redis.call('HMGET', key, 'a')
  redis.call('HGETALL', key)
  redis.call('HLEN', key)
  redis.call('EXISTS', key)
  redis.call('EXPIRE', key, 60)
  redis.call('COPY', key, key .. ':copy')
  redis.call('UNLINK', key .. ':copy')
  redis.call('HDEL', key, 'a')
  redis.call('SADD', key, '1')
  redis.call('SCARD', key)
  redis.call('SREM', key, '1')
  redis.call('ZADD', key, 0, '1')
  redis.call('ZINCRBY', key, 1, '1')
  redis.call('ZSCORE', key, '1')
  redis.call('ZRANGE', key, 0, -1)
  redis.call('ZREM', key, '1')
end
return 'ok'
