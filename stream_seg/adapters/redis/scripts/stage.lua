#!lua
-- Write some pieces of a batch, and with the last of them what makes it count.
-- KEYS: owner, position, pending, staged.
-- ARGV: token, batch id, start offset, start batch, number of the first piece here, number of pieces in all,
--       pending's fields (MessagePack, '': more pieces follow), piece, piece, …
local owner, position, pending, staged = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local batch_id, first = ARGV[2], tonumber(ARGV[5])
if not owned(owner, ARGV[1]) then
  return 'lost'
end
local before = redis.call('HMGET', pending, 'batch_id', 'done')
if before[1] == batch_id then
  return 'ok' -- a repeat: it is all there
end
local at = redis.call('HMGET', position, 'next_offset', 'batch')
if at[1] then
  if at[1] ~= ARGV[3] or at[2] ~= ARGV[4] then
    return 'elsewhere'
  end
elseif ARGV[4] ~= '0' then
  return 'elsewhere'
end
if before[1] and before[2] ~= '0' then
  return 'applying'
end
if redis.call('HGET', staged, 'batch_id') ~= batch_id then
  if first > 0 then
    return 'incomplete'
  end
  forget_staged(pending, staged)
  redis.call('HSET', staged, 'batch_id', batch_id)
end
for i = 8, #ARGV do
  redis.call('HSET', staged, first + i - 8, ARGV[i])
end
if ARGV[7] ~= '' then
  if redis.call('HLEN', staged) ~= tonumber(ARGV[6]) + 1 then
    return 'incomplete'
  end
  redis.call('HSET', pending, unpack(cmsgpack.unpack(ARGV[7])))
end
return 'ok'
