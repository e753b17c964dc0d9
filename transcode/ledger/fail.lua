-- Records a failure: another attempt after delay_ms, or the task is dead and, unless it is optional, its job too.
-- A: job, task, token, message, stderr_tail, permanent, delay_ms, keep_ms.
-- Returns 'retrying', 'dead', 'cancelled' or 'lost'. Idempotent.
local status = lease_status(A)
if status == 'retrying' or status == 'dead' or status == 'cancelled' then return status end
if status ~= 'running' then return 'lost' end
redis.call('HSET', task_key(A.job, A.task), 'error', A.message, 'last_words', A.stderr_tail)
drop_lease(A)
return fail_task(A.job, A.task, A.permanent, A.delay_ms, A.keep_ms)
