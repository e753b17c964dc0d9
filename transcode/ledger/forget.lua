-- Removes everything about a video's jobs. Leases still held become void. Idempotent. A: video.
local job = redis.call('GET', video_key(A.video))
if job then delete_job(job) end
delete_job(on_demand_job(A.video))
return 1
