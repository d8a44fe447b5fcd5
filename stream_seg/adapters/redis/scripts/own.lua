#!lua flags=allow-oom
-- Set the transactional id beside the token. KEYS: owner. ARGV: token, transactional id ('': none).
if not owned(KEYS[1], ARGV[1]) then
  return 'lost'
end
redis.call('HSET', KEYS[1], 'transactional_id', ARGV[2])
return 'ok'
