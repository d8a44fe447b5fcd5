#!lua flags=no-writes
-- One private key of every partition, in order; nil where there is none.
-- KEYS: meta. ARGV: the key's name before and after the partition's number, command (GET, SCARD).
local partitions = tonumber(redis.call('HGET', KEYS[1], 'partitions') or 0)
local found = {}
for partition = 0, partitions - 1 do
  found[partition + 1] = redis.call(ARGV[3], ARGV[1] .. partition .. ARGV[2])
end
return found
