-- Another life for a film's dead or cancelled tasks, with all their attempts. A: film.
-- Returns how many tasks were queued again: 0 when there is no such job, or nothing in it is dead.
local job = redis.call('GET', P .. 'film:' .. A.film)
local state = job and redis.call('HGET', job_key(job), 'state')
if not state or state == 'succeeded' then return 0 end
local count = 0
if not alive(state) then
  move(job_key(job), 'queued')
  redis.call('HDEL', job_key(job), 'error', 'failed_task', 'ended', 'started')
  redis.call('ZREM', P .. 'ended', job)
end
for _, id in ipairs(redis.call('SMEMBERS', tasks_key(job))) do
  local key = task_key(job, id)
  local task = hash(key)
  if task.state == 'dead' or task.state == 'cancelled' then
    if task.state == 'dead' and task.optional == '1' then
      redis.call('HINCRBY', job_key(job), 'open', 1)
      redis.call('HINCRBYFLOAT', job_key(job), 'done', -task.weight)
    end
    move(key, 'queued')
    redis.call('HSET', key, 'attempts', '0', 'progress', '0', 'token', '')
    put_in_queue(job, id)
    count = count + 1
  end
end
close_if_done(job)
film_changed(A.film)
return count
