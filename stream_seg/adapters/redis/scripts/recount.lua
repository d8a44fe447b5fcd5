#!lua flags=allow-oom
-- Count the public segment sizes anew from what every partition holds; one whose numbers cannot be read counts nothing.
-- KEYS: meta, segments. ARGV: a position's name before and after the partition's number, prefix of segments' hashes.
local partitions = tonumber(redis.call('HGET', KEYS[1], 'partitions') or 0)
local sizes = {}
for _, segment in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  sizes[segment] = 0
end
for partition = 0, partitions - 1 do
  local text = redis.call('HGET', ARGV[1] .. partition .. ARGV[2], 'numbers')
  local read, numbers = pcall(cjson.decode, text and string.sub(text, 1, -10) or '{}') -- without the checksum
  for segment, size in pairs(read and numbers.sizes or {}) do
    sizes[segment] = (sizes[segment] or 0) + size
  end
end
for segment, size in pairs(sizes) do
  redis.call('ZADD', KEYS[2], size, segment)
end
refresh_sizes(KEYS[2], ARGV[3])
return 'ok'
