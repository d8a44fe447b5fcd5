-- Shared by all scripts: it stands between the first line of each and the rest.

-- Whether the caller still has the partition.
local function owned(owner, token)
  return redis.call('HGET', owner, 'token') == token
end

-- An integer as text: a sorted set's scores are floats.
local function whole(number)
  return string.format('%.0f', tonumber(number))
end

-- A float as the shortest of its texts that reads back the same.
local function decimal(number)
  for digits = 15, 17 do
    local text = string.format('%.' .. digits .. 'g', number)
    if tonumber(text) == number then
      return text
    end
  end
end

-- A table that was packed with MessagePack; false where it cannot be read.
local function unpacked(text)
  local read, value = pcall(cmsgpack.unpack, text)
  return read and type(value) == 'table' and value
end

-- Add to public segment sizes: changes is segment, change, segment, change, …
local function add_sizes(segments, hashes, changes, sign)
  for i = 1, #changes, 2 do
    local size = redis.call('ZINCRBY', segments, sign * changes[i + 1], changes[i])
    local hash = hashes .. changes[i]
    if redis.call('EXISTS', hash) == 1 then
      redis.call('HSET', hash, 'size', whole(size))
    end
  end
end

-- Write size and share into the segments' hashes; a retired segment without customers leaves the sorted set.
local function refresh_sizes(segments, hashes)
  local sizes = redis.call('ZRANGE', segments, 0, -1, 'WITHSCORES')
  local total = 0
  for i = 2, #sizes, 2 do
    total = total + tonumber(sizes[i])
  end
  for i = 1, #sizes, 2 do
    local hash, size = hashes .. sizes[i], tonumber(sizes[i + 1])
    if redis.call('EXISTS', hash) == 1 then
      redis.call('HSET', hash, 'size', whole(size), 'share', decimal(total > 0 and size / total or 0))
    end
    if size == 0 and redis.call('HGET', hash, 'status') == 'retired' then
      redis.call('ZREM', segments, sizes[i])
    end
  end
end

-- Forget a staged batch and its pieces.
local function forget_staged(pending, staged)
  redis.call('UNLINK', pending, staged)
end
