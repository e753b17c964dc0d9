-- Records a success, and enqueues its follow-ups, or the closing tasks when nothing else is open. Idempotent.
-- A: job, task, token, result, follow_ups, total, base (false: unchanged), keep_ms.
-- Returns 'succeeded', 'cancelled' or 'lost'.
local status = lease_status(A)
if status == 'succeeded' or status == 'cancelled' then return status end
if status ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
local task = read_hash(key)
drop_lease(A)
set_state(key, 'succeeded')
redis.call('HSET', key, 'result', A.result, 'progress', '1', 'ended', int(NOW))
if task.kind == 'segment' then
  task.error = ''
  end_segment(task, true, A.keep_ms)
  return 'succeeded'
end
if A.total then redis.call('HSET', job_key(A.job), 'total', A.total, 'base', A.base) end
enqueue_all(A.job, task.film, A.follow_ups)
close_task(A.job, task.weight)
publish_video_changed(task.film)
return 'succeeded'
