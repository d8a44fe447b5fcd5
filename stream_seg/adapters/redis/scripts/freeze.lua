#!lua
-- Copy a partition's position and rows, for somebody to read at leisure, unless a batch is half applied.
-- KEYS: position, pending, the copy of position. ARGV: prefix of rows, of their copies, seconds until they expire.
-- Returns the number of blocks copied.
local done = redis.call('HGET', KEYS[2], 'done')
if done and done ~= '0' then
  return 'applying'
end
local blocks = tonumber(redis.call('HGET', KEYS[1], 'blocks') or 0) or 0
for block = 0, blocks - 1 do
  if redis.call('COPY', ARGV[1] .. block, ARGV[2] .. block, 'REPLACE') == 1 then
    redis.call('EXPIRE', ARGV[2] .. block, ARGV[3])
  end
end
if redis.call('COPY', KEYS[1], KEYS[3], 'REPLACE') == 1 then
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return blocks
