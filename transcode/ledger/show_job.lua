-- A consistent snapshot of one video's job with all its tasks. A: video. Returns JSON or false.
local job = redis.call('GET', video_key(A.video))
if not job or redis.call('EXISTS', job_key(job)) == 0 then return false end
local tasks = {}
for _, of in ipairs({job, on_demand_job(A.video)}) do
  for _, id in ipairs(redis.call('SMEMBERS', tasks_key(of))) do table.insert(tasks, read_hash(task_key(of, id))) end
end
return cjson.encode({
  job = read_hash(job_key(job)), tasks = tasks, now = NOW, hold = redis.call('GET', P .. 'hold') or '',
})
