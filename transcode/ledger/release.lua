-- Gives a task back without spending an attempt, or drops the lease of a cancelled one. Idempotent.
-- A: job, task, token, delay_ms, message. Returns 'queued', 'retrying' (after a delay), 'cancelled' or 'lost'.
local status = lease_status(A)
drop_lease(A)
if status == 'queued' or status == 'retrying' or status == 'cancelled' then return status end
if status ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
redis.call('HINCRBY', key, 'attempts', -1)
redis.call('HSET', key, 'progress', '0')
if A.delay_ms > 0 then
  redis.call('HSET', key, 'error', A.message)
  schedule_retry(A.job, A.task, A.delay_ms)
  return 'retrying'
end
set_state(key, 'queued')
push_to_queue(A.job, A.task)
return 'queued'
