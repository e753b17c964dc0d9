-- Takes back the tasks of expired leases (that attempt is spent), and trims jobs that ended long ago.
-- A: sentence, lease_ms, delay_ms, longest_ms (of a delay), keep_ms, keep_job_ms, keep_jobs.
-- Returns a list of "<job>|<task>|<new state>".

-- When nobody looked for long, perhaps nobody could renew: Redis was away, the machine slept, a clock was set.
local grace = A.lease_ms / 2
if redis.call('EXISTS', P .. 'reaper') == 0 then
  for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    redis.call('ZADD', P .. 'leases', 'XX', 'GT', int(NOW + grace), member)
  end
end
redis.call('SET', P .. 'reaper', '', 'PX', int(grace))

-- A clock that was set back would keep what is dead and what failed for as long.
local function no_later(key, latest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. int(latest), '+inf')) do
    redis.call('ZADD', key, 'XX', int(latest), member)
  end
end
no_later(P .. 'leases', NOW + A.lease_ms)
no_later(P .. 'delayed', NOW + A.longest_ms)

local reaped = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', int(NOW), 'LIMIT', 0, 50)) do
  redis.call('ZREM', P .. 'leases', member)
  local job, id, token = split(member)
  if standing({job = job, task = id, token = token}) == 'running' then
    redis.call('HSET', task_key(job, id), 'error', A.sentence, 'token', '')
    table.insert(reaped, job .. '|' .. id .. '|' .. fail(job, id, false, A.delay_ms, A.keep_ms))
  end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', P .. 'ended', '-inf', int(NOW - A.keep_job_ms), 'LIMIT', 0, 5)) do
  delete_job(job)
end
if redis.call('ZCARD', P .. 'ended') > A.keep_jobs then
  delete_job(redis.call('ZRANGE', P .. 'ended', 0, 0)[1])
end
return reaped
