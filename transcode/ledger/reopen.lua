-- What a task builds on is gone: the job begins again with its first task, by what the catalogue and the disk hold.
-- Only what is running stays, and what is dead and optional. No attempt is spent; a task to which it happens more often
-- than it has attempts is dead. A: job, task, token, first, sentence, last_words, keep_ms.
-- Returns 'queued', 'dead', 'cancelled' or 'lost'; said once more, 'lost' for 'queued'.
local state = standing(A)
if state == 'dead' then return state end
drop_lease(A)
if state ~= 'running' then return state == 'cancelled' and state or 'lost' end
local limit = tonumber(redis.call('HGET', task_key(A.job, A.task), 'limit'))
if redis.call('HINCRBY', job_key(A.job), 'lost:' .. A.task, 1) > limit then
  redis.call('HSET', task_key(A.job, A.task), 'error', A.sentence, 'last_words', A.last_words)
  return fail(A.job, A.task, true, 0, A.keep_ms)
end
delete_task(A.job, A.task)
local running, done = 0, 0
for _, id in ipairs(redis.call('SMEMBERS', tasks_key(A.job))) do
  local its, weight = unpack(redis.call('HMGET', task_key(A.job, id), 'state', 'weight'))
  if its == 'running' then
    running = running + 1
  elseif its == 'dead' then
    done = done + weight
  else
    delete_task(A.job, id)
  end
end
local film = redis.call('HGET', job_key(A.job), 'film')
redis.call('HSET', job_key(A.job), 'open', running, 'done', done, 'started', int(NOW))
enqueue(A.job, film, A.first)
return 'queued'
