-- Gives a task back, without spending an attempt; lets go of a cancelled one. Repeatable.
-- A: job, task, token, delay_ms, sentence. Returns 'queued', 'retrying' (after a delay), 'cancelled' or 'lost'.
local state = standing(A)
drop_lease(A)
if state == 'queued' or state == 'retrying' or state == 'cancelled' then return state end
if state ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
redis.call('HINCRBY', key, 'attempts', -1)
redis.call('HSET', key, 'progress', '0')
if A.delay_ms > 0 then
  redis.call('HSET', key, 'error', A.sentence)
  try_again(A.job, A.task, A.delay_ms)
  return 'retrying'
end
move(key, 'queued')
put_in_queue(A.job, A.task)
return 'queued'
