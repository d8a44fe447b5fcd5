#!lua
-- Publish a version, unless a newer one is current.
-- KEYS: current, the version's, quality, segments. ARGV: version, its JSON, prefix of segments' hashes,
--       segments (MessagePack: id, fields, id, fields, …), quality's fields (MessagePack).

-- fields is field, value, field, value, …
local function is_retired(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'status' then
      return fields[i + 1] == 'retired'
    end
  end
  return false
end

local current, model, quality, segments = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local newest = tonumber(redis.call('GET', current))
if newest and newest > tonumber(ARGV[1]) then
  return 'older'
end
redis.call('SET', model, ARGV[2])
local described = cmsgpack.unpack(ARGV[4])
for i = 1, #described, 2 do
  local hash, fields = ARGV[3] .. described[i], described[i + 1]
  local active = not is_retired(fields)
  if active then
    redis.call('DEL', hash) -- fields that are absent now; a retired segment keeps what it had
  end
  redis.call('HSET', hash, unpack(fields))
  local size = redis.call('ZSCORE', segments, described[i])
  redis.call('HSET', hash, 'size', size and whole(size) or '0', 'share', '0')
  if active and not size then
    redis.call('ZADD', segments, 0, described[i])
  end
end
redis.call('DEL', quality)
local fields = cmsgpack.unpack(ARGV[5])
if #fields > 0 then
  redis.call('HSET', quality, unpack(fields))
end
redis.call('SET', current, ARGV[1])
refresh_sizes(segments, ARGV[3])
return 'ok'
