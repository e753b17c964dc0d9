-- More tasks for a live job. Repeatable: tasks that exist are left alone. Returns how many are new.
-- A: job, tasks.
local film, state = unpack(redis.call('HMGET', job_key(A.job), 'film', 'state'))
if not state or not alive(state) then return 0 end
return enqueue_all(A.job, film, A.tasks)
