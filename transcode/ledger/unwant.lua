-- Nobody waits in this process any more; with no other process left the encode is cancelled. Repeatable.
-- A: film, task, rendition, number, process. Returns 1 when it was cancelled.
local want = want_key(A.film, A.rendition, int(A.number))
redis.call('ZREM', want, A.process)
redis.call('ZREMRANGEBYSCORE', want, '-inf', int(NOW))
if redis.call('ZCARD', want) > 0 then return 0 end
local job = live_job(A.film)
local state = redis.call('HGET', task_key(job, A.task), 'state')
if not state or not alive(state) then return 0 end
cancel_task(job, A.task)
redis.call('SREM', tasks_key(job), A.task)
redis.call('PEXPIRE', task_key(job, A.task), A.keep_ms)
return 1
