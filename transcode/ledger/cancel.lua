-- Cancels a film's job and its interactive segments. Repeatable. A: film.
-- Returns how many leases of the film are still held.
local job = redis.call('GET', P .. 'film:' .. A.film)
local state = job and redis.call('HGET', job_key(job), 'state')
if state and alive(state) then
  end_job(job, 'cancelled')
  cancel_tasks(job)
end
local live = live_job(A.film)
for _, task in ipairs(redis.call('SMEMBERS', tasks_key(live))) do
  cancel_task(live, task)
  local fields = hash(task_key(live, task))
  if fields.id then
    fields.error = 'cancelled'
    segment_over(fields, false, A.keep_ms)
  end
end
return held(A.film)
