-- Withdraws a web process's request for a segment. If no other process requests it, the task is cancelled. Idempotent.
-- A: video, task, rendition, number, requester, keep_ms. Returns 1 if it was cancelled.
local requests = requests_key(A.video, A.rendition, int(A.number))
redis.call('ZREM', requests, A.requester)
redis.call('ZREMRANGEBYSCORE', requests, '-inf', int(NOW))
if redis.call('ZCARD', requests) > 0 then return 0 end
local job = on_demand_job(A.video)
local state = redis.call('HGET', task_key(job, A.task), 'state')
if not state or not is_live(state) then return 0 end
cancel_task(job, A.task)
redis.call('SREM', tasks_key(job), A.task)
redis.call('PEXPIRE', task_key(job, A.task), A.keep_ms)
return 1
