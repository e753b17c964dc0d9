-- Takes back the tasks of expired leases, whose attempt is spent, and deletes jobs that ended long ago.
-- A: message, lease_ms, delay_ms, max_delay_ms, keep_ms, keep_job_ms, max_ended_jobs.
-- Returns a list of "<job>|<task>|<new state>".

-- If nobody reaped for long, perhaps nobody could renew: Redis was down, the machine slept, or a clock was set.
local grace = A.lease_ms / 2
if redis.call('EXISTS', P .. 'reaper') == 0 then
  for _, member in ipairs(redis.call('ZRANGE', P .. 'leases', 0, -1)) do
    redis.call('ZADD', P .. 'leases', 'XX', 'GT', int(NOW + grace), member)
  end
end
redis.call('SET', P .. 'reaper', '', 'PX', int(grace))

-- After a clock was set back, expired leases and due retries would otherwise wait for as long as it was set back.
local function clamp_scores(key, latest)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. int(latest), '+inf')) do
    redis.call('ZADD', key, 'XX', int(latest), member)
  end
end
clamp_scores(P .. 'leases', NOW + A.lease_ms)
clamp_scores(P .. 'delayed', NOW + A.max_delay_ms)

local reaped = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', int(NOW), 'LIMIT', 0, 50)) do
  redis.call('ZREM', P .. 'leases', member)
  local job, id, token = split(member)
  if lease_status({job = job, task = id, token = token}) == 'running' then
    redis.call('HSET', task_key(job, id), 'error', A.message, 'token', '')
    table.insert(reaped, job .. '|' .. id .. '|' .. fail_task(job, id, false, A.delay_ms, A.keep_ms))
  end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', P .. 'ended', '-inf', int(NOW - A.keep_job_ms), 'LIMIT', 0, 5)) do
  delete_job(job)
end
if redis.call('ZCARD', P .. 'ended') > A.max_ended_jobs then
  delete_job(redis.call('ZRANGE', P .. 'ended', 0, 0)[1])
end
return reaped
