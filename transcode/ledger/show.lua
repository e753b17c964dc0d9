-- One film's job with all its tasks, as one consistent picture. A: film. Returns JSON or false.
local job = redis.call('GET', P .. 'film:' .. A.film)
if not job or redis.call('EXISTS', job_key(job)) == 0 then return false end
local tasks = {}
for _, id in ipairs(redis.call('SMEMBERS', tasks_key(job))) do table.insert(tasks, hash(task_key(job, id))) end
for _, id in ipairs(redis.call('SMEMBERS', tasks_key(live_job(A.film)))) do
  table.insert(tasks, hash(task_key(live_job(A.film), id)))
end
return cjson.encode({job = hash(job_key(job)), tasks = tasks, now = NOW, hold = redis.call('GET', P .. 'hold') or ''})
