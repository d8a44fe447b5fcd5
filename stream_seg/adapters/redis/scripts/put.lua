#!lua
-- Set strings. KEYS: owner, key, key, … ARGV: token, value, value, …
if not owned(KEYS[1], ARGV[1]) then
  return 'lost'
end
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i])
end
return 'ok'
