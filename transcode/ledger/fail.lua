-- Failure: another attempt after delay_ms, or the task is dead and (unless it is optional) its job with it.
-- A: job, task, token, sentence, last_words, hopeless, delay_ms, keep_ms.
-- Returns 'retrying', 'dead', 'cancelled' or 'lost'. Repeatable.
local state = standing(A)
if state == 'retrying' or state == 'dead' or state == 'cancelled' then return state end
if state ~= 'running' then return 'lost' end
redis.call('HSET', task_key(A.job, A.task), 'error', A.sentence, 'last_words', A.last_words)
drop_lease(A)
return fail(A.job, A.task, A.hopeless, A.delay_ms, A.keep_ms)
