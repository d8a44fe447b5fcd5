#!lua flags=allow-oom
-- Forget a staged batch of which nothing is applied. KEYS: owner, pending, staged. ARGV: token, batch id.
if not owned(KEYS[1], ARGV[1]) then
  return 'lost'
end
local before = redis.call('HMGET', KEYS[2], 'batch_id', 'done')
if before[1] == ARGV[2] and before[2] ~= '0' then
  return 'applying'
end
if before[1] == ARGV[2] or redis.call('HGET', KEYS[3], 'batch_id') == ARGV[2] then
  forget_staged(KEYS[2], KEYS[3])
end
return 'ok'
