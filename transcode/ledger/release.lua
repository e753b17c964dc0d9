-- Gives a task back at once, without spending an attempt; lets go of a cancelled one. Repeatable.
-- A: job, task, token. Returns 'queued', 'cancelled' or 'lost'.
local state = standing(A)
drop_lease(A)
if state == 'queued' or state == 'cancelled' then return state end
if state ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
move(key, 'queued')
redis.call('HINCRBY', key, 'attempts', -1)
redis.call('HSET', key, 'progress', '0')
put_in_queue(A.job, A.task)
return 'queued'
