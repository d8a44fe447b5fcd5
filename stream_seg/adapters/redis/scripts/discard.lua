#!lua flags=allow-oom
-- Forget what is stored of a partition, and take its sizes out of the public ones; public hashes stay.
-- KEYS: owner, position, pending, staged, split, segments. ARGV: token, prefix of rows, of segments' hashes, sizes.
local owner, position, pending, staged, split, segments = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
if not owned(owner, ARGV[1]) then
  return 'lost'
end
local blocks = math.max(
  tonumber(redis.call('HGET', position, 'blocks') or 0), tonumber(redis.call('HGET', pending, 'blocks') or 0)
)
local block = 0
while redis.call('UNLINK', ARGV[2] .. block) == 1 or block < blocks do -- there may be more than were counted
  block = block + 1
end
if redis.call('EXISTS', position) == 1 then
  add_sizes(segments, ARGV[3], cmsgpack.unpack(ARGV[4]), -1)
end
forget_staged(pending, staged)
redis.call('UNLINK', position, split)
return 'ok'
