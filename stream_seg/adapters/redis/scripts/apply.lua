#!lua flags=allow-oom
-- Make one piece of a staged batch current, and with the last of them the position.
-- KEYS: owner, position, pending, staged, split, segments.
-- ARGV: token, batch id, number of the piece, partition, prefix of rows, of customers, of segments' hashes.
-- Returns how many pieces are applied, and how many there are; 'damaged' where a piece cannot be read.
local owner, position, pending, staged, split, segments = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local batch_id, number, partition = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local rows_prefix, customers_prefix, hashes_prefix = ARGV[5], ARGV[6], ARGV[7]

local splits = false -- whether any customer of ours is split

-- Whether a customer's public hash is ours to write: it is unless another partition has it. And whether it exists.
local function is_ours(key, row)
  local holder = redis.call('HGET', key, 'partition')
  if holder and holder ~= partition then
    redis.call('SADD', split, row)
    splits = true
    return false, true
  end
  if splits then
    redis.call('SREM', split, row)
  end
  return true, holder
end

-- Write the first count of a customer's values from place at on; an absent one is false. hash is name, value, name,
-- … with the values of the customer before.
local function write_customer(key, hash, count, values, at)
  for j = 1, count do
    local value = values[at + j]
    if not value then
      local present = {}
      for i = 1, count do
        if values[at + i] then
          present[#present + 1], present[#present + 2] = hash[2 * i - 1], values[at + i]
        end
      end
      redis.call('HSET', key, unpack(present))
      return
    end
    hash[2 * j] = value
  end
  redis.call('HSET', key, unpack(hash, 1, 2 * count))
end

-- rows is row, blob, customer, its values, row, blob, … in ascending order of row: one HSET a block. whole are the
-- places of customers of whom more than the first few fields have changed; fresh of those whose hash may be of an
-- earlier life, or another partition's: the others' were written by us.
local function write_rows(names, few, rows, whole, fresh)
  local block, pairs_, is_whole, is_fresh, hash = nil, {}, {}, {}, {}
  for j, name in ipairs(names) do
    hash[2 * j - 1], hash[2 * j] = name, ''
  end
  for _, at in ipairs(whole) do
    is_whole[at] = true
  end
  for _, at in ipairs(fresh) do
    is_fresh[at] = true
  end
  for at = 1, #rows, #names + 3 do
    local row, key = rows[at], customers_prefix .. rows[at + 2]
    local its_block = math.floor(row / 1024)
    if its_block ~= block and block then
      redis.call('HSET', rows_prefix .. block, unpack(pairs_))
      pairs_ = {}
    end
    block = its_block
    pairs_[#pairs_ + 1] = row
    pairs_[#pairs_ + 1] = rows[at + 1]
    local looked, ours, exists = is_fresh[at] or splits, true, true
    if looked then
      ours, exists = is_ours(key, row)
    end
    if ours then
      if is_fresh[at] and exists then
        redis.call('DEL', key) -- fields that are absent now
      end
      write_customer(key, hash, (is_whole[at] or looked) and #names or few, rows, at + 2)
    end
  end
  if block then
    redis.call('HSET', rows_prefix .. block, unpack(pairs_))
  end
end

local function free_rows(freed)
  for _, row in ipairs(freed) do
    redis.call('HDEL', rows_prefix .. math.floor(row / 1024), row)
    redis.call('SREM', split, row)
  end
end

local function delete_customers(gone)
  for _, customer in ipairs(gone) do
    local key = customers_prefix .. customer
    if redis.call('HGET', key, 'partition') == partition then
      redis.call('DEL', key)
    end
  end
end

-- All pieces are applied: the position moves, and the sizes with it. Returns whether they could be read.
local function finish()
  local to = redis.call('HMGET', pending, 'end_offset', 'end_batch', 'numbers', 'blocks', 'sizes')
  local sizes = unpacked(to[5])
  if not sizes then
    return false
  end
  redis.call('HSET', position, 'next_offset', to[1], 'batch', to[2], 'batch_id', batch_id, 'numbers', to[3], 'blocks', to[4])
  forget_staged(pending, staged)
  add_sizes(segments, hashes_prefix, sizes, 1)
  return true
end

if not owned(owner, ARGV[1]) then
  return 'lost'
end
local state = redis.call('HMGET', pending, 'batch_id', 'done', 'pieces')
if state[1] ~= batch_id then
  if redis.call('HGET', position, 'batch_id') == batch_id then
    return {0, 0} -- a repeat: it is applied
  end
  return 'gone'
end
local done, pieces = tonumber(state[2]), tonumber(state[3])
if not done or not pieces then
  return 'damaged'
end
if number == done and done < pieces then
  splits = redis.call('EXISTS', split) == 1
  local piece = unpacked(redis.call('HGET', staged, number))
  if not piece then
    return 'damaged'
  end
  write_rows(piece[1], piece[2], piece[3], piece[4], piece[5])
  free_rows(piece[6])
  delete_customers(piece[7])
  done = redis.call('HINCRBY', pending, 'done', 1)
end
if done == pieces and not finish() then
  return 'damaged'
end
return {done, pieces}
