-- Success: the result, what follows from it, and the closing task when nothing is open any more. Repeatable.
-- A: job, task, token, result, follow_ups, total, base (false: unchanged), keep_ms.
-- Returns 'succeeded', 'cancelled' or 'lost'.
local state = standing(A)
if state == 'succeeded' or state == 'cancelled' then return state end
if state ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
local task = hash(key)
drop_lease(A)
move(key, 'succeeded')
redis.call('HSET', key, 'result', A.result, 'progress', '1', 'ended', int(NOW))
if task.kind == 'segment' then
  task.error = ''
  segment_over(task, true, A.keep_ms)
  return 'succeeded'
end
if A.total then redis.call('HSET', job_key(A.job), 'total', A.total, 'base', A.base) end
enqueue_all(A.job, task.film, A.follow_ups)
close_task(A.job, task.weight)
film_changed(task.film)
return 'succeeded'
