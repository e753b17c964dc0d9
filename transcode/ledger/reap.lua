-- Takes back the tasks of expired leases (that attempt is spent), and trims jobs that ended long ago.
-- A: sentence, delay_ms, keep_ms, keep_job_ms, keep_jobs. Returns a list of "<job>|<task>|<new state>".
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
