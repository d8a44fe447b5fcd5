#!lua flags=allow-oom
-- Make the next piece of a staged batch current, and with the last of them the position.
-- KEYS: owner, position, pending, staged, split, segments.
-- ARGV: token, batch id, partition, prefix of rows, of customers, of segments' hashes.
-- Returns how many pieces are applied, and how many there are; 'damaged' where a piece cannot be read.
local owner, position, pending, staged, split, segments = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local batch_id, partition = ARGV[2], ARGV[3]
local rows_prefix, customers_prefix, hashes_prefix = ARGV[4], ARGV[5], ARGV[6]

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

-- Whether any of the customers at these places has a hash: one question for all, as of those who are new none has.
local function any_exists(rows, places)
  local keys = {}
  for i = 1, #places do
    keys[i] = customers_prefix .. rows[places[i] + 2]
  end
  return #keys > 0 and redis.call('EXISTS', unpack(keys)) > 0
end

local present = {} -- name, value, name, …: reused, for a table that grows from nothing costs more than what is in it

-- Write a customer's values from place first to last without those that are absent. hash has the names.
local function write_present(key, hash, values, first, last)
  local size, name = 0, 1
  for i = first, last do
    local value = values[i]
    if value then
      present[size + 1] = hash[name]
      size = size + 2
      present[size] = value
    end
    name = name + 2
  end
  redis.call('HSET', key, unpack(present, 1, size))
end

-- Write a customer's values from place first to last; an absent one is false. hash is name, value, name, … with the
-- values of the customer before.
local function write_customer(key, hash, values, first, last)
  local size = 0
  for i = first, last do
    local value = values[i]
    if not value then
      return write_present(key, hash, values, first, last)
    end
    size = size + 2
    hash[size] = value
  end
  redis.call('HSET', key, unpack(hash, 1, size))
end

local function block_key(row)
  return rows_prefix .. math.floor(row / 1024)
end

-- rows is row, blob, customer, its values, row, blob, … in ascending order of row: one HSET a block. whole are the
-- places of customers of whom more than the first few fields have changed; fresh of those whose hash may be of an
-- earlier life, or another partition's: the others' were written by us. Both ascend, as the walk does.
-- No table's length is asked for and no table looked up by place in the walk: this is most of our processor time.
local function write_rows(names, few, rows, whole, fresh)
  local all, hash = #names, {}
  for j, name in ipairs(names) do
    hash[2 * j - 1], hash[2 * j] = name, ''
  end
  local look = splits or any_exists(rows, fresh) -- else nobody can be another partition's
  local whole_at, next_whole, fresh_at, next_fresh = whole[1], 2, fresh[1], 2
  local block, in_block, size = nil, {}, 0 -- block is its first row; in_block is row, blob, row, …
  for at = 1, #rows, all + 3 do
    local row, key = rows[at], customers_prefix .. rows[at + 2]
    local its_block = row - row % 1024
    if its_block ~= block then
      if block then
        redis.call('HSET', block_key(block), unpack(in_block, 1, size))
      end
      block, size = its_block, 0
    end
    in_block[size + 1] = row
    size = size + 2
    in_block[size] = rows[at + 1]
    local count, is_fresh, ours, exists = few, at == fresh_at, true, false
    if at == whole_at then
      count, whole_at, next_whole = all, whole[next_whole], next_whole + 1
    end
    if is_fresh then
      fresh_at, next_fresh = fresh[next_fresh], next_fresh + 1
    end
    if is_fresh or splits then
      count = all
      if look then
        ours, exists = is_ours(key, row)
      end
    end
    if ours then
      if is_fresh and exists then
        redis.call('DEL', key) -- fields that are absent now
      end
      write_customer(key, hash, rows, at + 3, at + 2 + count)
    end
  end
  if block then
    redis.call('HSET', block_key(block), unpack(in_block, 1, size))
  end
end

-- One HDEL for neighbours in a block.
local function free_rows(freed)
  local first = 1
  for i = 1, #freed do
    local key = block_key(freed[i])
    if i == #freed or block_key(freed[i + 1]) ~= key then
      redis.call('HDEL', key, unpack(freed, first, i))
      first = i + 1
    end
  end
  if splits and #freed > 0 then
    redis.call('SREM', split, unpack(freed))
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
if done < pieces then
  splits = redis.call('EXISTS', split) == 1
  local piece = unpacked(redis.call('HGET', staged, done))
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
