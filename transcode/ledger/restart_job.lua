-- Restarts a job with its first task because an input of the task is missing; what is left to do is then decided from
-- the catalogue and the disk. Keeps running tasks, and dead optional ones. Spends no attempt, but a task that restarts
-- its job more often than it has attempts is dead. A: job, task, token, first, message, stderr_tail, keep_ms.
-- Returns 'queued', 'dead', 'cancelled' or 'lost'; when repeated, 'lost' instead of 'queued'.
local status = lease_status(A)
if status == 'dead' then return status end
drop_lease(A)
if status ~= 'running' then return status == 'cancelled' and status or 'lost' end
local max_restarts = tonumber(redis.call('HGET', task_key(A.job, A.task), 'limit'))
if redis.call('HINCRBY', job_key(A.job), 'lost:' .. A.task, 1) > max_restarts then
  redis.call('HSET', task_key(A.job, A.task), 'error', A.message, 'last_words', A.stderr_tail)
  return fail_task(A.job, A.task, true, 0, A.keep_ms)
end
delete_task(A.job, A.task)
local running, done = 0, 0
for _, id in ipairs(redis.call('SMEMBERS', tasks_key(A.job))) do
  local state, weight = unpack(redis.call('HMGET', task_key(A.job, id), 'state', 'weight'))
  if state == 'running' then
    running = running + 1
  elseif state == 'dead' then
    done = done + weight
  else
    delete_task(A.job, id)
  end
end
local video = redis.call('HGET', job_key(A.job), 'film')
redis.call('HSET', job_key(A.job), 'open', running, 'done', done, 'started', int(NOW))
enqueue(A.job, video, A.first)
return 'queued'
